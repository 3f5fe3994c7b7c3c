private import Bytes
package import ControlFiles
private import Frames

/// What the control files say about logins.
package struct AuthSettings: Sendable {
    /// In the order they are asked.
    package var backends: [Backend]
    /// Nobody with a lower uid comes in; 0 never does.
    package var leastUID: UInt32
    /// Added to logins without a domain before our own accounts are looked at; empty: nothing is.
    package var loginDomain: [UInt8]
    /// Domains whose addresses are the system's users.
    package var locals: Set<[UInt8]>
    /// Of users of the system, relative to their homes.
    package var systemMailbox: [UInt8]
    package var sending: SendingLimits.Limits

    package static let files = [
        "authbackends", "minuid", "logindomain", "locals", "me", "defaultdelivery", "sendmessages", "sendrecipients",
    ]

    package init(backends: [Backend] = [.accounts], leastUID: UInt32 = 100) {
        self.backends = backends
        self.leastUID = leastUID
        loginDomain = []
        locals = []
        systemMailbox = Array("Maildir".utf8)
        sending = SendingLimits.Limits()
    }

    /// - Parameter isPrivileged: without root the system's passwords cannot be read, so its users are not asked for by default.
    package init(_ control: ControlDirectory, isPrivileged: Bool) throws {
        self.init(
            backends: isPrivileged ? [.accounts, .check(.system, program: [])] : [.accounts],
            leastUID: UInt32(clamping: try control.integer("minuid") ?? 100))
        if let bytes = try control.bytes("authbackends") {
            backends = try ControlDirectory.entries(bytes).map { number, line in
                guard let backend = Backend(line) else {
                    throw ControlFileError(
                        file: control.file("authbackends"), line: number, problem: "must be accounts, system, pam, shadow or program /PATH")
                }
                return backend
            }
        }
        loginDomain = (try control.line("logindomain") ?? []).lowercasedASCII()
        locals = Set((try control.list("locals") ?? [try control.line("me") ?? []]).map { $0.lowercasedASCII() })
        systemMailbox = Self.maildir(of: try control.bytes("defaultdelivery") ?? []) ?? systemMailbox
        sending = SendingLimits.Limits(
            messages: UInt32(clamping: try control.integer("sendmessages") ?? 200),
            recipients: UInt32(clamping: try control.integer("sendrecipients") ?? 1000))
    }

    /// The first line of `.qmail` form that delivers to a Maildir of the home.
    private static func maildir(of delivery: [UInt8]) -> [UInt8]? {
        ControlDirectory.entries(delivery).map(\.text).first { $0.starts(with: "./".utf8) && $0.last == ASCII.slash && $0.count > 3 }
            .map { Array($0.dropFirst(2).dropLast()) }
    }
}
