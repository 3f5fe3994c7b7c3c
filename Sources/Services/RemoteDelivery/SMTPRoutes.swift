private import Bytes

/// `control/smtproutes`: where mail for a domain goes instead of its exchangers (spec-qmail §14.3).
package struct SMTPRoutes: Sendable {
    /// Who takes the mail.
    package enum Route: Hashable, Sendable {
        /// Whom DNS says, at port 25.
        case exchangers
        /// This host, by its addresses; nobody asks whether it is ourselves.
        case relay(Relay)

        package var relay: Relay? { if case .relay(let relay) = self { relay } else { nil } }
    }

    package static let smtpPort: UInt16 = 25

    private let relays: [[UInt8]: [UInt8]]

    /// - Parameter map: keys in lower case, values as in the file.
    package init(_ map: [[UInt8]: [UInt8]]) { relays = map }

    /// The first line whose value names no relay, and what is wrong with it, for the log; nil when all do.
    package var fault: (key: [UInt8], problem: String)? {
        for (key, value) in relays {
            do throws(Relay.Malformed) { _ = try Self.parse(value) } catch { return (key, error.problem) }
        }
        return nil
    }

    package func route(for host: ArraySlice<UInt8>) -> Route { entry(for: host)?.route ?? .exchangers }

    /// The line that decides, by its key: the host itself, its suffixes from the longest, then the empty key.
    package func entry(for host: ArraySlice<UInt8>) -> (key: [UInt8], route: Route)? {
        guard !relays.isEmpty else { return nil }
        let name = host.lowercasedASCII()
        if let found = entry(name) { return found }
        for index in name.indices where name[index] == ASCII.dot {
            if let found = entry(Array(name[index...])) { return found }
        }
        return entry([])
    }

    private func entry(_ key: [UInt8]) -> (key: [UInt8], route: Route)? {
        relays[key].map { (key, (try? Self.parse($0)) ?? .exchangers) }
    }

    /// A value of the file, or the relay of an administrator; nil when it is none.
    package static func route(_ value: [UInt8]) -> Route? { try? parse(value) }

    private static func parse(_ value: [UInt8]) throws(Relay.Malformed) -> Route {
        value.isEmpty ? .exchangers : .relay(try Relay(value))
    }
}
