private import Bytes

extension Address {
    private static let verpSuffix = Array("-@[]".utf8)

    /// Variable envelope return path: sender `PRE@HOST-@[]` becomes `PREBOX=DOM@HOST` for recipient `BOX@DOM` (spec-qmail §8.1).
    /// Any other sender, and a recipient without `@`, leave it as it is.
    package func expandedVERP(for recipient: Address) -> Address {
        guard let base = withoutVERP, let at = base.bytes.lastIndex(of: ASCII.at), let domain = recipient.domain else { return self }
        return Address(base.bytes[..<at] + recipient.localPart + [ASCII.equals] + domain + base.bytes[at...]) ?? base
    }

    /// Where bounces of the whole message go: `PRE@HOST` for `PRE@HOST-@[]`; nil when this is no VERP sender.
    package var withoutVERP: Address? {
        guard !isDoubleBounce, bytes.count > Self.verpSuffix.count, bytes.suffix(4).elementsEqual(Self.verpSuffix) else { return nil }
        return Address(bytes.dropLast(4))
    }
}
