private import Bytes
package import ControlFiles
private import Glibc
package import Posix

extension Resolver {
    /// Those that say whom to ask.
    package static let files = ["resolvers", "dnssec"]
    private static let rootKey = "/usr/share/dns/root.key"

    /// As `control/resolvers` and `control/dnssec` say.
    /// - Throws: ``ControlFileError`` with the line of a server that is none.
    package convenience init(_ control: ControlDirectory, on loop: EventLoop) throws {
        let lines = try control.bytes("resolvers").map { ControlDirectory.entries($0) } ?? []
        var configuration = Configuration()
        configuration.servers = lines.map(\.text.text)
        if try control.integer("dnssec") ?? 0 != 0 {
            guard access(Self.rootKey, R_OK) == 0 else {
                throw ControlFileError(
                    file: control.file("dnssec"), line: 1, problem: "validation needs \(Self.rootKey), of Debian's dns-root-data")
            }
            configuration.trustAnchor = Self.rootKey
        }
        do throws(Failure) {
            try self.init(configuration, on: loop)
        } catch {
            guard case .notAServer(let server) = error else { throw error }
            let line = lines.first { $0.text.text == server }?.number ?? 0
            throw ControlFileError(file: control.file("resolvers"), line: line, problem: "\(error)")
        }
    }
}
