package import Addresses
private import Bytes

/// A line of `control/dnsbllist`: a list in DNS of clients whose mail is not wanted, or is (spec-qmail §18.3).
///
///     BASE         a client that has a TXT record there is refused with its text, for now
///     BASE:TEXT    one that has an A record in 127.0.0.0/8 is refused with TEXT; `%IP%` is its address
///     -BASE…       for good, as if TEXT began with `-`
///     +BASE        one that has an A record there is let in, whatever later lists say
///     =BASE…       one that is there is logged, no more
package struct ClientList: Equatable, Sendable {
    package enum Effect: Sendable { case refuses, refusesForGood, permits, isLogged }

    package let base: [UInt8]
    package let effect: Effect
    /// Nil: the record's.
    package let text: [UInt8]?

    package init?(_ line: [UInt8]) {
        var rest = line[...]
        var effect = Effect.refuses
        switch line.first {
        case ASCII.hyphen: effect = .refusesForGood
        case ASCII.plus: effect = .permits
        case ASCII.equals: effect = .isLogged
        default: break
        }
        if effect != .refuses { rest.removeFirst() }
        let colon = rest.firstIndex(of: ASCII.colon)
        base = Array(rest[..<(colon ?? rest.endIndex)])
        var text = colon.map { Array(rest[($0 + 1)...]) }
        if effect == .refuses, text?.first == ASCII.hyphen {
            effect = .refusesForGood
            text?.removeFirst()
        }
        self.text = text
        self.effect = effect
        guard !base.isEmpty, base.allSatisfy({ $0.isLetter || $0.isDigit || $0 == ASCII.dot || $0 == ASCII.hyphen || $0 == ASCII.underscore }) else {
            return nil
        }
    }

    /// What is asked of DNS: the text of a TXT record, or whether there is an A record.
    var asksForText: Bool { effect != .permits && text == nil }

    /// The client's bytes, or nibbles in IPv6, from the last to the first (RFC 5782 §2).
    func name(of address: IPAddress) -> [UInt8] {
        var name: [UInt8] = []
        for byte in address.bytes.reversed() {
            let labels = address.isV6 ? [byte & 15, byte >> 4].map { String($0, radix: 16) } : [String(byte)]
            for label in labels { name += Array(label.utf8) + [ASCII.dot] }
        }
        return name + base
    }
}

/// Asks lists about one client, in their order, until one decides. A question that fails is a list that does not have the client.
package struct ListSearch: Sendable {
    package enum Step: Equatable, Sendable {
        case askText([UInt8])
        case askAddress([UInt8])
        /// - text: as RBLSMTPD has it; nil lets the client in.
        case decided(text: [UInt8]?, by: ClientList?)
    }

    package enum Answer: Equatable, Sendable {
        case text([UInt8])
        case addresses([IPAddress])
        case nothing
    }

    private let address: IPAddress
    private var lists: ArraySlice<ClientList>
    /// Those that have the client and are only logged.
    package private(set) var logged: [ClientList] = []

    package init(_ lists: [ClientList], _ address: IPAddress) {
        self.lists = lists[...]
        self.address = address
    }

    package func next() -> Step {
        guard let list = lists.first else { return .decided(text: nil, by: nil) }
        let name = list.name(of: address)
        return list.asksForText ? .askText(name) : .askAddress(name)
    }

    package mutating func answered(_ answer: Answer) -> Step {
        guard let list = lists.popFirst(), let text = text(list, answer) else { return next() }
        switch list.effect {
        case .permits: return .decided(text: nil, by: list)
        case .isLogged:
            logged.append(list)
            return next()
        // An empty text of theirs must not look like RBLSMTPD's way to let somebody in.
        case .refuses: return .decided(text: text.isEmpty ? Array("listed".utf8) : text, by: list)
        case .refusesForGood: return .decided(text: [ASCII.hyphen] + text, by: list)
        }
    }

    /// Nil: the list does not have the client. Lists that have been given up answer everything with some address; those of a list are in 127.0.0.0/8
    /// (RFC 5782 §2.1).
    private func text(_ list: ClientList, _ answer: Answer) -> [UInt8]? {
        switch answer {
        case .nothing: return nil
        case .text(let text): return text.first == ASCII.hyphen ? Array(text.drop { $0 == ASCII.hyphen }) : text
        case .addresses(let found):
            guard found.contains(where: { !$0.isV6 && $0.bytes.first == 127 }) else { return nil }
            return list.text.map { filled($0) } ?? []
        }
    }

    private func filled(_ text: [UInt8]) -> [UInt8] {
        let mark = Array("%IP%".utf8)
        var result: [UInt8] = []
        var rest = text[...]
        while let byte = rest.first {
            if rest.starts(with: mark) {
                result += Array(address.description.utf8)
                rest.removeFirst(mark.count)
            } else {
                result.append(byte)
                rest.removeFirst()
            }
        }
        return result
    }
}
