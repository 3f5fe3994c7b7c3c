package import Addresses
private import Bytes

/// The recipients of one message with what became of each, in one run of bytes: a list of a million costs what its addresses cost and 3 bytes each.
///
/// A recipient is a state byte (bit 0 the channel, bits 1–2 the state), a 16-bit length and the address. It is named by its offset, which never
/// changes. Recipients stand grouped by channel and host, so that those of one host can leave in one transaction.
package struct PackedRecipients: Equatable, Sendable {
    package enum State: UInt8, Sendable {
        case pending = 0
        case delivered = 1
        case failed = 2
    }

    package struct Recipient: Equatable, Sendable {
        package let offset: UInt32
        package let channel: Channel
        package let state: State
        package let address: ArraySlice<UInt8>
    }

    package private(set) var bytes: [UInt8]
    /// By channel.
    private var pending: (local: Int, remote: Int) = (0, 0)
    package private(set) var count = 0
    package private(set) var failedCount = 0

    private static let headBytes = 3

    package init() { bytes = [] }

    /// Takes bytes that were read back; nil when they are not well-formed.
    package init?(bytes: [UInt8]) {
        guard bytes.count <= Int(UInt32.max) else { return nil }
        self.bytes = bytes
        var offset = 0
        while offset < bytes.count {
            guard let found = parse(at: offset) else { return nil }
            count += 1
            if found.state == .pending { addPending(found.channel, 1) }
            if found.state == .failed { failedCount += 1 }
            offset += Self.headBytes + found.length
        }
    }

    package static func == (a: PackedRecipients, b: PackedRecipients) -> Bool { a.bytes == b.bytes }

    package mutating func append(_ address: some Collection<UInt8>, channel: Channel, state: State = .pending) {
        bytes.append(channel.rawValue | state.rawValue << 1)
        bytes.append(counted: address)
        count += 1
        if state == .pending { addPending(channel, 1) }
        if state == .failed { failedCount += 1 }
    }

    package func pendingCount(_ channel: Channel) -> Int { channel == .local ? pending.local : pending.remote }

    package var isFinished: Bool { pending.local == 0 && pending.remote == 0 }

    /// The recipient at an offset that this value gave out.
    package func recipient(at offset: UInt32) -> Recipient? {
        let start = Int(offset)
        guard let found = parse(at: start) else { return nil }
        let first = start + Self.headBytes
        return Recipient(offset: offset, channel: found.channel, state: found.state, address: bytes[first..<first + found.length])
    }

    /// The first recipient of `channel` still to be tried at `cursor` or behind it.
    package func nextPending(_ channel: Channel, from cursor: UInt32) -> Recipient? {
        var offset = Int(cursor)
        while let found = parse(at: offset) {
            if found.channel == channel, found.state == .pending { return recipient(at: UInt32(offset)) }
            offset += Self.headBytes + found.length
        }
        return nil
    }

    /// The offset behind `recipient`.
    package func offset(after recipient: Recipient) -> UInt32 { recipient.offset + UInt32(Self.headBytes + recipient.address.count) }

    /// Ends a pending recipient; anything else stays as it is.
    package mutating func end(_ offset: UInt32, as state: State) {
        guard state != .pending, let found = parse(at: Int(offset)), found.state == .pending else { return }
        bytes[Int(offset)] = found.channel.rawValue | state.rawValue << 1
        addPending(found.channel, -1)
        if state == .failed { failedCount += 1 }
    }

    package func visit(_ body: (Recipient) -> Void) {
        var offset = 0
        while let found = parse(at: offset) {
            let first = offset + Self.headBytes
            body(Recipient(offset: UInt32(offset), channel: found.channel, state: found.state, address: bytes[first..<first + found.length]))
            offset = first + found.length
        }
    }

    private mutating func addPending(_ channel: Channel, _ change: Int) {
        if channel == .local { pending.local += change } else { pending.remote += change }
    }

    private func parse(at offset: Int) -> (channel: Channel, state: State, length: Int)? {
        guard offset >= 0, bytes.count - offset >= Self.headBytes, let channel = Channel(rawValue: bytes[offset] & 1),
            let state = State(rawValue: bytes[offset] >> 1)
        else { return nil }
        let length = Int(bytes[offset + 1]) | Int(bytes[offset + 2]) << 8
        guard bytes.count - offset - Self.headBytes >= length else { return nil }
        return (channel, state, length)
    }
}

extension PackedRecipients {
    /// A recipient with its channel and what became of it.
    package struct Routed: Sendable {
        package var address: [UInt8]
        package var channel: Channel
        package var state: State

        package init(address: [UInt8], channel: Channel, state: State = .pending) {
            self.address = address
            self.channel = channel
            self.state = state
        }
    }

    /// Packs new recipients, all pending.
    package init(grouping recipients: [(address: [UInt8], channel: Channel)]) {
        self.init(grouping: recipients.map { Routed(address: $0.address, channel: $0.channel) })
    }

    /// Packs routed recipients, grouped by channel and by host as first met; within a host the order is kept.
    package init(grouping recipients: [Routed]) {
        self.init()
        guard recipients.count > 1 else {
            for recipient in recipients { append(recipient) }
            return
        }
        var groupOfHost: [[UInt8]: Int] = [:]
        var local: [Int] = []
        var groups: [[Int]] = []
        for (index, recipient) in recipients.enumerated() {
            guard recipient.channel == .remote else {
                local.append(index)
                continue
            }
            let host = PackedRecipients.host(of: recipient.address[...])
            if let group = groupOfHost[host] {
                groups[group].append(index)
            } else {
                groupOfHost[host] = groups.count
                groups.append([index])
            }
        }
        bytes.reserveCapacity(recipients.reduce(0) { $0 + $1.address.count + Self.headBytes })
        for index in local { append(recipients[index]) }
        for group in groups { for index in group { append(recipients[index]) } }
    }

    private mutating func append(_ recipient: Routed) { append(recipient.address, channel: recipient.channel, state: recipient.state) }

    /// The domain after the last `@`, in lower case: two recipients of one host can go in one transaction.
    package static func host(of address: ArraySlice<UInt8>) -> [UInt8] {
        guard let at = address.lastIndex(of: ASCII.at) else { return [] }
        return address[(at + 1)...].lowercasedASCII()
    }
}
