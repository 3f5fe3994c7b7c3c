private import Addresses
package import ControlFiles
private import Posix
private import Reception
package import SMTPServer

/// What the control files say about mail from SMTP (qmail-smtpd(8), spec-qmail §5.2), for role smtpd and for the program qmail-smtpd.
///
/// Module `SMTPReception` makes the values of the server machine out of files and variables. It must not know sockets, nor what a role adds
/// to them.
extension Policy {
    /// Those that make a policy, for whoever watches them.
    package static let files = [
        "me", "smtpgreeting", "localiphost", "rcpthosts", "morercpthosts.cdb", "badmailfrom", "badhelo", "badrcptto", "goodrcptto", "databytes",
    ]

    /// - Parameter checksRecipients: ask route about each recipient.
    /// - Throws: ``ControlFileError`` when there is no greeting; ``SystemError`` when a file cannot be read, or the own addresses cannot.
    package convenience init(_ control: ControlDirectory, checksRecipients: Bool) throws {
        guard let greeting = try control.lineOrMe("smtpgreeting") else {
            throw ControlFileError(file: control.file("me"), line: 0, problem: "missing; write the name of this host into it")
        }
        self.init(
            greeting: greeting, databytes: try control.integer("databytes") ?? 0, localIPHost: try control.lineOrMe("localiphost"),
            ownAddresses: try Policy.ownAddresses(), badMailFrom: try control.list("badmailfrom") ?? [],
            badHelo: try control.list("badhelo") ?? [], badRcptTo: try control.list("badrcptto") ?? [], goodRcptTo: try control.list("goodrcptto"),
            rcpthosts: try Rcpthosts(control), checksRecipients: checksRecipients)
    }

    /// Those of the interfaces, and 0.0.0.0 (spec-qmail §13.3).
    private static func ownAddresses() throws(SystemError) -> Set<IPAddress> {
        Set((try interfaceAddresses() + [[0, 0, 0, 0]]).compactMap { IPAddress($0) })
    }
}

/// `control/timeoutsmtpd`, in seconds; nil without the file. What is not positive becomes 1 (spec-qmail §5.2).
package func smtpTimeout(_ control: ControlDirectory) throws -> UInt64? {
    try control.integer("timeoutsmtpd").map { max(1, $0) }
}
