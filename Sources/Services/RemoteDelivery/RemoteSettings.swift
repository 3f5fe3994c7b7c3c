package import Addresses
private import Bytes
package import ControlFiles
private import Posix

/// The control files that remote reads (spec-qmail §5.2).
package struct RemoteSettings: Sendable {
    /// Nil when neither `helohost` nor `me` is there: then nothing can be sent.
    package var heloHost: [UInt8]?
    package var routes: SMTPRoutes
    /// Seconds.
    package var connectTimeout: UInt64
    /// Seconds, for each step of the server.
    package var remoteTimeout: UInt64
    /// Addresses at which others may reach this machine, beside those of its interfaces.
    package var moreOwnAddresses: [IPAddress]

    /// What delivers in our place: a path, absolute or from the qmail home.
    package var program: [UInt8]?
    /// Seconds that it may run for one recipient.
    package var programTimeout: UInt64

    /// Certificates of authorities that others' are trusted by; nil: the system's.
    package var authoritiesFile: [UInt8]?

    package static let files = [
        "helohost", "me", "smtproutes", "timeoutconnect", "timeoutremote", "moreipme", "remoteprogram", "timeoutremoteprogram",
        "cafile",
    ]
    private static let maxTimeout: UInt64 = 86_400

    package init(_ control: ControlDirectory) throws {
        // A file written with CR LF must not put a CR into EHLO.
        let name = try control.lineOrMe("helohost")?.filter { !$0.isControl } ?? []
        heloHost = name.isEmpty ? nil : name
        routes = try Self.routes(control)
        connectTimeout = try Self.seconds(control, "timeoutconnect", default: 60)
        remoteTimeout = try Self.seconds(control, "timeoutremote", default: 1200)
        moreOwnAddresses = try Self.addresses(control, "moreipme")
        authoritiesFile = try control.line("cafile").flatMap { $0.isEmpty ? nil : $0 }
        program = try control.line("remoteprogram").flatMap { $0.isEmpty ? nil : $0 }
        programTimeout = try Self.seconds(control, "timeoutremoteprogram", default: 7200)
    }

    private static func routes(_ control: ControlDirectory) throws -> SMTPRoutes {
        let routes = try SMTPRoutes(control.map("smtproutes") ?? [:])
        guard let (key, problem) = routes.fault else { return routes }
        // Of equal keys the last counts.
        let line = try entries(control, "smtproutes").last { $0.text.prefix { $0 != ASCII.colon }.lowercasedASCII() == key }
        throw ControlFileError(
            file: control.file("smtproutes"), line: line?.number ?? 0, problem: "the route of \"\(key.text)\" \(problem)")
    }

    private static func addresses(_ control: ControlDirectory, _ name: String) throws -> [IPAddress] {
        try entries(control, name).map { entry in
            guard let address = IPLiteral.parse(entry.text[...]) else {
                throw ControlFileError(file: control.file(name), line: entry.number, problem: "\"\(logsafe(entry.text))\" is not an IP address")
            }
            return address
        }
    }

    private static func entries(_ control: ControlDirectory, _ name: String) throws -> [(number: Int, text: [UInt8])] {
        try control.bytes(name).map { ControlDirectory.entries($0) } ?? []
    }

    private static func seconds(_ control: ControlDirectory, _ name: String, default fallback: UInt64) throws -> UInt64 {
        min(max(try control.integer(name) ?? fallback, 1), maxTimeout)
    }
}
