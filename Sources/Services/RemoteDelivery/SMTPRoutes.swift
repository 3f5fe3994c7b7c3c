private import Bytes

/// `control/smtproutes`: where mail for a domain goes instead of its exchangers (spec-qmail §14.3).
package struct SMTPRoutes: Sendable {
    /// Who takes the mail.
    package enum Route: Hashable, Sendable {
        /// Whom DNS says, at port 25.
        case exchangers
        /// This host, by its addresses; nobody asks whether it is ourselves.
        case relay(Relay)
    }

    package struct Relay: Hashable, Sendable {
        package var host: [UInt8]
        package var port: UInt16
        package init(host: [UInt8], port: UInt16) {
            self.host = host
            self.port = port
        }
    }

    package static let smtpPort: UInt16 = 25

    private let relays: [[UInt8]: [UInt8]]

    /// - Parameter map: keys in lower case, values as in the file.
    package init(_ map: [[UInt8]: [UInt8]]) { relays = map }

    /// The first line whose value names no relay, for the log; nil when all do.
    package var invalidKey: [UInt8]? { relays.first { Self.route($0.value) == nil }?.key }

    /// The host itself, its suffixes from the longest, then the empty key: the first that is there decides.
    package func route(for host: ArraySlice<UInt8>) -> Route {
        guard !relays.isEmpty else { return .exchangers }
        let name = host.lowercasedASCII()
        if let value = relays[name] { return Self.route(value) ?? .exchangers }
        for index in name.indices where name[index] == ASCII.dot {
            if let value = relays[Array(name[index...])] { return Self.route(value) ?? .exchangers }
        }
        return relays[[]].flatMap { Self.route($0) } ?? .exchangers
    }

    /// `relay`, `relay:port`, or nothing for the exchangers. An IPv6 address stands in brackets, which qmail does not know: `[::1]:2526`.
    package static func route(_ value: [UInt8]) -> Route? {
        guard !value.isEmpty else { return .exchangers }
        let bracket = value.first == ASCII.leftBracket ? value.firstIndex(of: ASCII.rightBracket) : nil
        guard let colon = value[(bracket ?? 0)...].firstIndex(of: ASCII.colon) else { return .relay(Relay(host: value, port: smtpPort)) }
        guard colon > 0, let port = parseLeadingDecimal(value[(colon + 1)...]).flatMap(UInt16.init(exactly:)), port > 0 else { return nil }
        return .relay(Relay(host: Array(value[..<colon]), port: port))
    }
}
