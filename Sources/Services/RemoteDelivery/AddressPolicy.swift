package import Addresses

/// Which addresses DNS may not send us to (hardening.md "DNS"). A route of the administrator's may.
package struct AddressPolicy: Sendable {
    package enum Verdict: Equatable, Sendable {
        case usable
        /// This machine: then we are an exchanger of the domain ourselves, and only better ones may be tried (RFC 5321 §5.1).
        case ourselves
        /// No host of the Internet has it.
        case unusable
    }

    private let own: Set<IPAddress>

    /// - Parameter own: the addresses of our interfaces, and of `control/moreipme`.
    package init(own: Set<IPAddress>) { self.own = own }

    package func judge(_ address: IPAddress) -> Verdict {
        if own.contains(address) { return .ourselves }
        return address.isV6 ? judgeV6(address) : Self.judgeV4(address.bytes)
    }

    private static func judgeV4(_ bytes: [UInt8]) -> Verdict {
        switch (bytes[0], bytes[1]) {
        case (0, _), (127, _): .ourselves
        case (169, 254), (224..., _): .unusable
        default: .usable
        }
    }

    private func judgeV6(_ address: IPAddress) -> Verdict {
        let bytes = address.bytes
        if bytes[..<15].allSatisfy({ $0 == 0 }), bytes[15] <= 1 { return .ourselves }
        // ::ffff:0:0/96, and the deprecated ::/96: an IPv4 address in disguise; what it hides decides whether it is us.
        if bytes[..<10].allSatisfy({ $0 == 0 }), bytes[10] == bytes[11], bytes[10] == 0 || bytes[10] == 0xFF {
            guard let v4 = IPAddress(bytes[12...]) else { return .unusable }
            return judge(v4) == .ourselves ? .ourselves : .unusable
        }
        let isLinkLocal = bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80
        return isLinkLocal || bytes[0] == 0xFF ? .unusable : .usable
    }
}
