// Every applet. Each family has its table beside its programs: an applet is added there, with its manual. Synopses are in the words of qmail's
// usage lines.
extension Applet {
    /// Looked through one after the other: to lay out the manuals of all takes longer than to queue a small message.
    package typealias Family = @Sendable () -> [Applet]

    /// Those of the program `qmail`.
    package static let families: [Family] =
        injectionFamilies + [
            { delivery }, { mailboxes }, { logins }, { wire }, { queueTools }, { control }, { users }, { start },
        ]
    /// Those of the program `qmail-inject`, which is started for each message (docs/decisions/0014).
    package static let injectionFamilies: [Family] = [{ injection }]

    /// The file that an installation links the name to.
    var program: String { Applet.injection.contains { $0.name == name } ? "qmail-inject" : "qmail" }

    package static var all: [Applet] { families.flatMap { $0() } }

    static func named(_ name: [UInt8], in families: [Family]) -> Applet? {
        for family in families { if let found = family().first(where: { name.elementsEqual($0.name.utf8) }) { return found } }
        return nil
    }

    static let doneOrTemporary = [commonExitCodes[0], commonExitCodes[2]]
    static let commonExitCodes = [
        Entry("0", "Done."), Entry("100", "Permanent failure: the same call would fail again."), Entry("111", "Temporary failure: try again later."),
    ]
    static let home = Entry("QMAILHOME", "The qmail home, when it is neither the folder above the program's own nor /var/qmail.")
    static let queueVariable = Entry("QMAILQUEUE", "A program to run instead of handing mail to the queue; relative to the qmail home.")
}
