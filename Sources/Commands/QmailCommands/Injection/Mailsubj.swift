private import Bytes

/// mailsubj (qmail §12.2): sends its input with a subject.
enum Mailsubj {
    static let synopsis = "subject recip ..."

    static func run(_ call: Invocation) -> Int32 {
        guard let subject = call.arguments.first else { return usage("mailsubj", "mailsubj " + synopsis) }
        let recipients = call.arguments.dropFirst().joined(separator: [ASCII.space])
        let header = "Subject: ".utf8 + oneLine(subject) + "\nTo: ".utf8 + oneLine(recipients) + "\n\n".utf8
        var inject = call
        inject.programName = Array("qmail-inject".utf8)
        inject.arguments = []
        return QmailInject.run(inject, Input(0, after: header))
    }

    /// Scripts pass on what people typed: no line end in it may begin another field.
    private static func oneLine(_ text: some Sequence<UInt8>) -> [UInt8] { text.map { $0 == ASCII.lf || $0 == ASCII.cr ? ASCII.space : $0 } }
}
