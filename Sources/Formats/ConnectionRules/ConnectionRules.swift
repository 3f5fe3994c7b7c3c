package import Addresses
private import Bytes

/// Who may connect, and with which variables: the text of `control/smtprules`, in the syntax of tcprules (spec-qmail §18.2), looked up as tcpserver does.
///
/// One thing is added: tcprules splits at the first colon, so that an IPv6 address can be no key of it. Here `[2001:db8::1]` is one, and
/// `[2001:db8::/32]` a prefix; to tcprules both are bad lines, so no file of its means anything else here.
///
/// It must not know what a variable does, and looks up no name: rules cost no DNS.
package struct ConnectionRules: Equatable, Sendable {
    /// What a connection gets.
    package enum Decision: Equatable, Sendable {
        /// With these variables set, in the order of the rule.
        case allow([Assignment])
        case deny
    }

    package struct Assignment: Equatable, Sendable {
        package var name: [UInt8]
        package var value: [UInt8]
        package init(name: [UInt8], value: [UInt8]) {
            self.name = name
            self.value = value
        }
    }

    /// A right side: `deny` may carry variables too, which nothing reads but tcprulescheck.
    package struct Rule: Equatable, Sendable {
        package var isDenied: Bool
        package var assignments: [Assignment]
        package init(isDenied: Bool, assignments: [Assignment]) {
            self.isDenied = isDenied
            self.assignments = assignments
        }
        fileprivate var decision: Decision { isDenied ? .deny : .allow(assignments) }
    }

    /// A line that cannot be parsed: its number from 1, and the line.
    package struct BadLine: Error, Equatable {
        package let number: Int
        package let line: [UInt8]
    }

    /// By key, ranges expanded; of equal keys the first rule counts.
    package private(set) var rules: [[UInt8]: Rule] = [:]
    /// Longest first; of equal prefixes the first rule counts.
    private var prefixes: [(prefix: AddressPrefix, rule: Rule)] = []

    /// No rules: everybody is allowed.
    package init() {}

    package init(_ text: [UInt8]) throws(BadLine) {
        for (index, line) in text.split(separator: ASCII.lf, omittingEmptySubsequences: false).enumerated() {
            let line = line.trimmingTrailingBlanks()
            guard let first = line.first, first != ASCII.hash else { continue }
            guard add(line) else { throw BadLine(number: index + 1, line: Array(line)) }
        }
        prefixes = prefixes.enumerated().sorted { ($1.element.prefix.length, $0.offset) < ($0.element.prefix.length, $1.offset) }.map(\.element)
    }

    private mutating func add(_ line: ArraySlice<UInt8>) -> Bool {
        if line.first == ASCII.leftBracket, let end = line.firstIndex(of: ASCII.rightBracket) {
            let rest = line[(end + 1)...]
            guard let prefix = AddressPrefix(line[(line.startIndex + 1)..<end]), prefix.bytes.count == 16, rest.first == ASCII.colon,
                let rule = Rule(rest.dropFirst())
            else { return false }
            prefixes.append((prefix, rule))
            return true
        }
        // tcprules takes no notice of a line without a colon.
        guard let colon = line.firstIndex(of: ASCII.colon) else { return true }
        guard let rule = Rule(line[(colon + 1)...]), let keys = expandedKeys(line[..<colon]) else { return false }
        for key in keys where rules[key] == nil { rules[key] = rule }
        return true
    }

    package static func == (one: ConnectionRules, other: ConnectionRules) -> Bool {
        one.rules == other.rules && one.prefixes.elementsEqual(other.prefixes) { $0 == $1 }
    }
}

/// Who connects, as far as it is known.
package struct ConnectionOrigin: Sendable {
    /// Nil on a UNIX socket: then the key is `unknown`.
    package var address: IPAddress?
    /// TCPREMOTEHOST. Set but empty counts as known.
    package var host: [UInt8]?
    /// TCPREMOTEINFO.
    package var info: [UInt8]?

    package init(address: IPAddress?, host: [UInt8]? = nil, info: [UInt8]? = nil) {
        self.address = address
        self.host = host
        self.info = info
    }

    /// TCPREMOTEIP.
    package var addressText: [UInt8] { Array((address?.description ?? "unknown").utf8) }
}

extension ConnectionRules {
    /// Without a rule that fits, everybody is allowed.
    package func decision(for origin: ConnectionOrigin) -> Decision {
        match(origin)?.rule.decision ?? .allow([])
    }

    /// The first rule that fits in tcpserver's order, with its key (spec-qmail §18.2).
    package func match(_ origin: ConnectionOrigin) -> (key: [UInt8], rule: Rule)? {
        let address = origin.addressText
        let hostKey = origin.host.map { [ASCII.equals] + $0 }
        if let info = origin.info {
            if let found = rule(info + [ASCII.at] + address) { return found }
            if let hostKey, let found = rule(info + [ASCII.at] + hostKey) { return found }
        }
        if let found = rule(address) { return found }
        if let bytes = origin.address?.bytes, bytes.count == 16, let found = prefixes.first(where: { $0.prefix.contains(bytes) }) {
            return (Array(found.prefix.description.utf8), found.rule)
        }
        if let hostKey, let found = rule(hostKey) { return found }
        for index in address.indices.reversed() where address[index] == ASCII.dot {
            if let found = rule(Array(address[...index])) { return found }
        }
        if let host = origin.host {
            for index in host.indices where host[index] == ASCII.dot {
                if let found = rule([ASCII.equals] + host[index...]) { return found }
            }
            if let found = rule([ASCII.equals]) { return found }
        }
        return rule([])
    }

    private func rule(_ key: [UInt8]) -> (key: [UInt8], rule: Rule)? { rules[key].map { (key, $0) } }
}
