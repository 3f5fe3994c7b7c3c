private import Addresses
internal import ArgumentParser
private import Bytes
internal import Frames

/// `192.0.2.1`, `192.0.2.0/24`, `2001:db8::1` (its /64), `2001:db8::/48`, or an account.
struct SubjectArgument: ExpressibleByArgument {
    static let help: ArgumentHelp = "An address, a network (/24 of IPv4, /48 or /64 of IPv6), or an account as it logs in."

    let text: String
    let subject: AuthAdmin.Subject

    init?(argument: String) {
        text = argument
        let parts = Array(argument.utf8).split(separator: ASCII.slash, omittingEmptySubsequences: false)
        guard parts.count <= 2, let first = parts.first, !first.isEmpty else { return nil }
        guard let address = IPLiteral.parse(first) else {
            subject = .account(argument.utf8.lowercasedASCII())
            return
        }
        let least: UInt8 = address.isV6 ? 64 : 32
        guard parts.count == 2 else {
            subject = .network(address.bytes, bits: least)
            return
        }
        guard let bits = parseDecimal(parts[1], maxDigits: 3).flatMap({ UInt8(exactly: $0) }),
            (address.isV6 ? [48, 64, 128] : [24, 32]).contains(bits)
        else { return nil }
        subject = .network(address.bytes, bits: min(bits, least))
    }
}
