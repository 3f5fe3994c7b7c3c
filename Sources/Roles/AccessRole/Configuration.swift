private import Bytes
internal import ConnectionRules
internal import ControlFiles
internal import Logins

/// What the control files say, read whole; made anew when one of them changes.
struct Configuration {
    /// What the greeting calls the server.
    let host: [UInt8]
    let logins: LoginOffer
    /// Proxies, whose connections begin with a PROXY header.
    let proxies: Networks
    /// Connections of all workers together.
    let concurrency: Int
    /// Connections of one client address to one worker.
    let concurrencyPerAddress: Int

    static let files = LoginOffer.files + ["me", "proxyclients", "concurrencypop3", "concurrencyperip"]
    private static let defaultConcurrency = 1000
    private static let defaultConcurrencyPerAddress = 50

    init(_ control: ControlDirectory) throws {
        host = try control.line("me") ?? Array("localhost".utf8)
        logins = try LoginOffer(control)
        proxies = try Networks(control, "proxyclients")
        concurrency = try Configuration.count(control, "concurrencypop3") ?? Self.defaultConcurrency
        concurrencyPerAddress = try Configuration.count(control, "concurrencyperip") ?? Self.defaultConcurrencyPerAddress
    }

    private static func count(_ control: ControlDirectory, _ name: String) throws -> Int? {
        guard let line = try control.line(name) else { return nil }
        guard let number = parseDecimal(line, maxDigits: 9), number > 0 else {
            throw ControlFileError(file: control.file(name), line: 1, problem: "write a number from 1 to 999999999")
        }
        return Int(number)
    }
}
