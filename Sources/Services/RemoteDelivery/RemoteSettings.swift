private import Bytes
package import ControlFiles

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
    package var moreOwnAddresses: [[UInt8]]

    package static let files = ["helohost", "me", "smtproutes", "timeoutconnect", "timeoutremote", "moreipme"]
    private static let maxTimeout: UInt64 = 86_400

    package init(_ control: ControlDirectory) throws {
        // A file written with CR LF must not put a CR into EHLO.
        let name = try control.lineOrMe("helohost")?.filter { !$0.isControl } ?? []
        heloHost = name.isEmpty ? nil : name
        routes = try SMTPRoutes(control.map("smtproutes") ?? [:])
        if let key = routes.invalidKey {
            throw ControlFileError(
                file: control.file("smtproutes"), line: 0, problem: "the route of \"\(key.text)\" is not RELAY or RELAY:PORT")
        }
        connectTimeout = try Self.seconds(control, "timeoutconnect", default: 60)
        remoteTimeout = try Self.seconds(control, "timeoutremote", default: 1200)
        moreOwnAddresses = try control.list("moreipme") ?? []
    }

    private static func seconds(_ control: ControlDirectory, _ name: String, default fallback: UInt64) throws -> UInt64 {
        min(max(try control.integer(name) ?? fallback, 1), maxTimeout)
    }
}
