package import Addresses
private import Bytes

/// `run/admin`, stream: administrators look into the queue and change it. Requests on one connection are answered one after the other, each up to its
/// `end`.
package enum Admin {
    package enum Request: Equatable, Sendable {
        /// Every message that is selected: a `message` each, behind it its recipients in any number of `recipients`, then `end`.
        case list(Selection)
        /// As `list`, for what `remove` would take: recipients that have failed are told too while their bounce is not made.
        case preview(Selection)
        /// One `counts`, then `end`.
        case counts
        /// One message with its recipients, their texts, and as many bytes of its content as wanted; `missing` when it is not there.
        case show(id: UInt64, contentBytes: UInt64)
        /// Does something to all that is selected: `progress` now and then and once, last, when it is durable; before that `missing` for ids that are not
        /// there.
        case act(Action, Selection)
    }

    package enum Action: Equatable, Sendable {
        /// Starts no deliveries of the messages until they are released; those under way end.
        case hold
        case release
        /// Makes the messages due now.
        case retry
        /// Gives the recipients up: they bounce.
        case expire
        /// Gives the recipients up: nobody is told.
        case remove
        /// Decides anew by the control files where the recipients go.
        case reroute
        /// Sends remote recipients by this relay, `host` or `host:port`.
        case rerouteVia([UInt8])
    }

    /// Which messages, and which of their recipients; what is not said selects all. All that is said must hold.
    package struct Selection: Equatable, Sendable {
        /// Empty: not by id.
        package var ids: [UInt64] = []
        /// Addresses with `*` for any bytes; compared without case. An empty one is the null sender.
        package var sender: [UInt8]?
        package var recipient: [UInt8]?
        /// Of the recipient, with `*` likewise.
        package var domain: [UInt8]?
        package var channel: Channel?
        /// Seconds that the message is old at least and at most.
        package var minAge: UInt64 = 0
        package var maxAge: UInt64 = .max
        package var isHeld: Bool?

        package static let everything = Selection()
        /// Ids in one request.
        package static let maxIDs = 4096

        package init() {}

        /// Whether some recipients of a message may be selected and others not.
        package var choosesRecipients: Bool { recipient != nil || domain != nil || channel != nil }
    }
}

extension Admin.Request {
    package static let maxLength = 1 << 16

    package init(_ frame: Frame) throws(FrameError) {
        var reader = ByteReader(frame.payload)
        let request: Self? =
            switch frame.type {
            case 1: Admin.Selection(&reader).map { .list($0) }
            case 2: .counts
            case 3: Self.show(&reader)
            case 4: Self.act(&reader)
            case 5: Admin.Selection(&reader).map { .preview($0) }
            default: throw .unknownType(frame.type)
            }
        guard let request, reader.isAtEnd else { throw .malformed(frame.type) }
        self = request
    }

    private static func show(_ reader: inout ByteReader) -> Self? {
        guard let id = reader.number(UInt64.self), let bytes = reader.number(UInt64.self) else { return nil }
        return .show(id: id, contentBytes: bytes)
    }

    private static func act(_ reader: inout ByteReader) -> Self? {
        guard let action = Admin.Action(&reader), let selection = Admin.Selection(&reader) else { return nil }
        return .act(action, selection)
    }

    package func encode(into output: inout [UInt8]) {
        switch self {
        case .list(let selection): output.append(frame: 1) { selection.encode(into: &$0) }
        case .preview(let selection): output.append(frame: 5) { selection.encode(into: &$0) }
        case .counts: output.append(frame: 2) { _ in }
        case .show(let id, let bytes):
            output.append(frame: 3) {
                $0.append(number: id)
                $0.append(number: bytes)
            }
        case .act(let action, let selection):
            output.append(frame: 4) {
                action.encode(into: &$0)
                selection.encode(into: &$0)
            }
        }
    }
}

extension Admin.Action {
    fileprivate init?(_ reader: inout ByteReader) {
        switch reader.byte() {
        case 1: self = .hold
        case 2: self = .release
        case 3: self = .retry
        case 4: self = .expire
        case 5: self = .remove
        case 6: self = .reroute
        case 7:
            guard let relay = reader.counted(), !relay.isEmpty else { return nil }
            self = .rerouteVia(Array(relay))
        default: return nil
        }
    }

    fileprivate func encode(into output: inout [UInt8]) {
        switch self {
        case .hold: output.append(1)
        case .release: output.append(2)
        case .retry: output.append(3)
        case .expire: output.append(4)
        case .remove: output.append(5)
        case .reroute: output.append(6)
        case .rerouteVia(let relay):
            output.append(7)
            output.append(counted: relay)
        }
    }
}

extension Admin.Selection {
    private static let hasSender: UInt8 = 1
    private static let hasRecipient: UInt8 = 2
    private static let hasDomain: UInt8 = 4
    private static let hasChannel: UInt8 = 8
    private static let hasHeld: UInt8 = 16

    fileprivate init?(_ reader: inout ByteReader) {
        guard let flags = reader.byte(), flags < 32, let youngest = reader.number(UInt64.self), let oldest = reader.number(UInt64.self) else {
            return nil
        }
        (minAge, maxAge) = (youngest, oldest)
        for (flag, field) in [(Self.hasSender, \Self.sender), (Self.hasRecipient, \.recipient), (Self.hasDomain, \.domain)] where flags & flag != 0 {
            guard let pattern = reader.counted() else { return nil }
            self[keyPath: field] = Array(pattern)
        }
        if flags & Self.hasChannel != 0 {
            guard let code = reader.byte(), let found = Channel(rawValue: code) else { return nil }
            channel = found
        }
        if flags & Self.hasHeld != 0 {
            guard let code = reader.byte(), code < 2 else { return nil }
            isHeld = code == 1
        }
        while !reader.isAtEnd {
            guard ids.count < Self.maxIDs, let id = reader.number(UInt64.self) else { return nil }
            ids.append(id)
        }
    }

    fileprivate func encode(into output: inout [UInt8]) {
        let patterns = [(Self.hasSender, sender), (Self.hasRecipient, recipient), (Self.hasDomain, domain)]
        var flags = patterns.reduce(0) { $0 | ($1.1 == nil ? 0 : $1.0) }
        if channel != nil { flags |= Self.hasChannel }
        if isHeld != nil { flags |= Self.hasHeld }
        output.append(flags)
        output.append(number: minAge)
        output.append(number: maxAge)
        for case (_, let pattern?) in patterns { output.append(counted: pattern) }
        if let channel { output.append(channel.rawValue) }
        if let isHeld { output.append(isHeld ? 1 : 0) }
        for id in ids { output.append(number: id) }
    }
}
