package import Addresses
private import Bytes

/// The recipients of one message with what became of each, in one run of bytes: a list of a million costs what its addresses cost and 3 bytes each.
///
/// A recipient is a byte (bit 0 the channel, bits 1–3 the state, bit 4: with a note), a 16-bit length and the address; behind it, counted in the
/// length, the note and the note's own length in one byte. It is named by its offset, which never changes. Recipients stand grouped by channel and
/// host, so that those of one host can leave in one transaction; those that an administrator rerouted stand again at the end.
package struct PackedRecipients: Equatable, Sendable {
    package enum State: UInt8, Sendable {
        case pending = 0
        case delivered = 1
        case failed = 2
        /// An administrator gave it up; nobody is told.
        case removed = 3
        /// It goes on as another one, at the end of the list.
        case rerouted = 4
        /// Being delivered when an administrator ended it: unless that delivery succeeds it has failed.
        case expiring = 5
        /// Likewise: unless that delivery succeeds it is removed.
        case removing = 6

        /// Its end is still to come.
        package var isOpen: Bool { self == .pending || self == .expiring || self == .removing }
    }

    package struct Recipient: Equatable, Sendable {
        package let offset: UInt32
        package let channel: Channel
        package let state: State
        package let address: ArraySlice<UInt8>
        fileprivate let note: ArraySlice<UInt8>
        fileprivate let end: UInt32

        /// `host` or `host:port` that takes the mail instead of its domain's exchangers; empty: as the control files say. Remote ones only.
        package var relay: ArraySlice<UInt8> { channel == .remote ? note : [] }
        /// Bytes in front of the address that a virtual domain added, its hyphen included; nil when nobody noted how many. Remote ones have none.
        package var prependedCount: Int? { channel == .local ? note.first.map { Int($0) } : 0 }
    }

    /// The longest relay, bytes.
    package static let maxRelayBytes = 255

    package private(set) var bytes: [UInt8]
    /// By channel.
    private var pending: (local: Int, remote: Int) = (0, 0)
    package private(set) var count = 0
    package private(set) var failedCount = 0

    private static let headBytes = 3
    private static let noteFlag: UInt8 = 1 << 4

    package init() { bytes = [] }

    /// Takes bytes that were read back; nil when they are not well-formed.
    package init?(bytes: [UInt8]) {
        guard bytes.count <= Int(UInt32.max) else { return nil }
        self.bytes = bytes
        var offset = 0
        while offset < bytes.count {
            guard let found = parse(at: offset) else { return nil }
            count += 1
            if found.state.isOpen { addPending(found.channel, 1) }
            if found.state == .failed { failedCount += 1 }
            offset = found.end
        }
    }

    package static func == (a: PackedRecipients, b: PackedRecipients) -> Bool { a.bytes == b.bytes }

    /// - Parameter note: a remote recipient's relay, or a local one's ``Recipient/prependedCount`` in one byte.
    package mutating func append(_ address: some Collection<UInt8>, channel: Channel, state: State = .pending, note: [UInt8] = []) {
        if note.isEmpty {
            bytes.append(channel.rawValue | state.rawValue << 1)
            bytes.append(counted: address)
        } else {
            bytes.append(channel.rawValue | state.rawValue << 1 | Self.noteFlag)
            let note = note.prefix(Self.maxRelayBytes)
            bytes.append(counted: Array(address) + note + [UInt8(note.count)])
        }
        count += 1
        if state.isOpen { addPending(channel, 1) }
        if state == .failed { failedCount += 1 }
    }

    package func pendingCount(_ channel: Channel) -> Int { channel == .local ? pending.local : pending.remote }

    package var isFinished: Bool { pending.local == 0 && pending.remote == 0 }

    /// The recipient at an offset that this value gave out.
    package func recipient(at offset: UInt32) -> Recipient? { parse(at: Int(offset)).map { recipient($0, at: offset) } }

    private func recipient(_ found: Parsed, at offset: UInt32) -> Recipient {
        let first = Int(offset) + Self.headBytes
        let note = found.noteLength > 0 ? bytes[found.end - 1 - found.noteLength..<found.end - 1] : []
        let last = found.noteLength > 0 ? found.end - 1 - found.noteLength : found.end
        return Recipient(
            offset: offset, channel: found.channel, state: found.state, address: bytes[first..<last], note: note, end: UInt32(found.end))
    }

    /// The first recipient of `channel` still to be tried at `cursor` or behind it.
    package func nextPending(_ channel: Channel, from cursor: UInt32) -> Recipient? {
        var offset = Int(cursor)
        while let found = parse(at: offset) {
            if found.channel == channel, found.state == .pending { return recipient(found, at: UInt32(offset)) }
            offset = found.end
        }
        return nil
    }

    /// The offset behind `recipient`.
    package func offset(after recipient: Recipient) -> UInt32 { recipient.end }

    /// What became of a recipient. One that has ended stays as it is, but for a failure that an administrator takes back before it is told.
    package mutating func end(_ offset: UInt32, as state: State) {
        guard let found = parse(at: Int(offset)), found.state.isOpen || found.state == .failed && state == .removed, state != .pending else { return }
        bytes[Int(offset)] = bytes[Int(offset)] & (1 | Self.noteFlag) | state.rawValue << 1
        addPending(found.channel, (state.isOpen ? 1 : 0) - (found.state.isOpen ? 1 : 0))
        failedCount += (state == .failed ? 1 : 0) - (found.state == .failed ? 1 : 0)
    }

    /// A pending recipient goes on as another, at the end of the list.
    package mutating func reroute(_ offset: UInt32, to route: Route) {
        guard let found = parse(at: Int(offset)), found.state == .pending, bytes.count < Int(UInt32.max) - 1 << 16 else { return }
        end(offset, as: .rerouted)
        append(route.address, channel: route.channel, note: route.note)
    }

    package func visit(_ body: (Recipient) -> Void) {
        var offset = 0
        while let found = parse(at: offset) {
            body(recipient(found, at: UInt32(offset)))
            offset = found.end
        }
    }

    private mutating func addPending(_ channel: Channel, _ change: Int) {
        if channel == .local { pending.local += change } else { pending.remote += change }
    }

    private struct Parsed {
        let channel: Channel
        let state: State
        let noteLength: Int
        let end: Int
    }

    private func parse(at offset: Int) -> Parsed? {
        guard offset >= 0, bytes.count - offset >= Self.headBytes, let channel = Channel(rawValue: bytes[offset] & 1),
            let state = State(rawValue: (bytes[offset] & ~Self.noteFlag) >> 1)
        else { return nil }
        let length = Int(bytes[offset + 1]) | Int(bytes[offset + 2]) << 8
        let end = offset + Self.headBytes + length
        guard bytes.count >= end else { return nil }
        guard bytes[offset] & Self.noteFlag != 0 else { return Parsed(channel: channel, state: state, noteLength: 0, end: end) }
        guard length > 1, bytes[end - 1] > 0, Int(bytes[end - 1]) < length else { return nil }
        return Parsed(channel: channel, state: state, noteLength: Int(bytes[end - 1]), end: end)
    }
}

extension PackedRecipients {
    /// Where a recipient goes.
    package struct Route: Equatable, Sendable {
        package let address: [UInt8]
        package let channel: Channel
        package let note: [UInt8]

        /// - Parameter prepended: bytes in front that a virtual domain added; what is too much for a note is not remembered.
        package init(local address: [UInt8], prepended: Int) {
            self.address = address
            channel = .local
            note = UInt8(exactly: prepended).map { [$0] } ?? []
        }

        /// - Parameter relay: ``Recipient/relay``.
        package init(remote address: [UInt8], relay: [UInt8] = []) {
            self.address = address
            channel = .remote
            note = relay
        }

        package init(_ channel: Channel, _ address: [UInt8], prepended: Int) {
            self = channel == .local ? Route(local: address, prepended: prepended) : Route(remote: address)
        }

        init(address: [UInt8], channel: Channel, note: [UInt8]) {
            self.address = address
            self.channel = channel
            self.note = note
        }

        /// What a recipient with it takes in the list.
        package var packedBytes: Int { PackedRecipients.headBytes + address.count + (note.isEmpty ? 0 : note.count + 1) }

        /// Whether a recipient goes this way already.
        package func isTaken(by recipient: Recipient) -> Bool {
            channel == recipient.channel && recipient.address.elementsEqual(address) && (channel == .local || recipient.note.elementsEqual(note))
        }
    }
}

extension PackedRecipients {
    /// A recipient with its channel and what became of it.
    package struct Routed: Sendable {
        package var address: [UInt8]
        package var channel: Channel
        package var state: State
        fileprivate var note: [UInt8] = []

        package init(address: [UInt8], channel: Channel, state: State = .pending) {
            self.address = address
            self.channel = channel
            self.state = state
        }

        /// A new one.
        package init(_ route: Route) {
            self.init(address: route.address, channel: route.channel)
            note = route.note
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

    private mutating func append(_ recipient: Routed) {
        append(recipient.address, channel: recipient.channel, state: recipient.state, note: recipient.note)
    }

    /// The domain after the last `@`, in lower case: two recipients of one host can go in one transaction.
    package static func host(of address: ArraySlice<UInt8>) -> [UInt8] {
        guard let at = address.lastIndex(of: ASCII.at) else { return [] }
        return address[(at + 1)...].lowercasedASCII()
    }
}
