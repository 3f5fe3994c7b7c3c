/// What the last attempts said that failed for now: for administrators who ask. Not durable, and of bounded size: the oldest go first.
package struct DeferralTexts {
    private struct Key: Hashable {
        let id: UInt64
        let recipient: UInt32
    }

    private var texts: [Key: (text: [UInt8], serial: UInt64)] = [:]
    /// In the order they were noted; some have been noted again or forgotten since.
    private var order: [(key: Key, serial: UInt64)] = []
    private var first = 0
    private var lastSerial: UInt64 = 0

    package static let limit = 10_000
    /// Of each text.
    package static let maxBytes = 400

    package init() {}

    package mutating func note(_ id: UInt64, _ recipient: UInt32, _ text: ArraySlice<UInt8>) {
        lastSerial += 1
        let key = Key(id: id, recipient: recipient)
        texts[key] = (Array(text.prefix(Self.maxBytes)), lastSerial)
        order.append((key, lastSerial))
        while order.count - first > Self.limit { dropFirst() }
    }

    private mutating func dropFirst() {
        let (key, serial) = order[first]
        if texts[key]?.serial == serial { texts[key] = nil }
        first += 1
        if first > Self.limit {
            order.removeFirst(first)
            first = 0
        }
    }

    package subscript(_ id: UInt64, _ recipient: UInt32) -> [UInt8]? { texts[Key(id: id, recipient: recipient)]?.text }
}
