private import Addresses
private import Bytes
private import Netstrings
package import Reception
private import WireContent

/// The server side of a QMTP connection as a value (spec-qmail §15.1): any number of packages, each a message, a sender and a list of recipients; one
/// response for each recipient, in order.
///
/// Module `QMTP` must not know sockets or files. What holds: a message is committed only as a whole, and acknowledged only after the queue's answer.
package struct QMTPSession: PackageServer {
    private enum State {
        case message
        case sender
        case recipients
        case awaitingQueue
        case closed
    }

    /// What a recipient is told.
    private enum Response: UInt8 {
        /// As the message was.
        case message
        case domainNotAllowed
        case unusable

        var text: [UInt8]? {
            switch self {
            case .message: nil
            case .domainNotAllowed: Array("Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)".utf8)
            case .unusable: Array("Dsorry, I can't handle that recipient (#5.1.3)".utf8)
            }
        }
    }

    private let client: Client
    private let rcpthosts: Rcpthosts
    private let databytes: UInt64
    private let limits: PackageLimits

    private var state = State.message
    private var reader = NetstringReader()
    /// Inside the list of recipients.
    private var recipientReader = NetstringReader()
    private var content: QMTPContent
    private var isBegun = false
    private var failure: QueueAnswer?
    private var address: AddressAccumulator
    private var sender: Address?
    private var recipients: [Address] = []
    private var responses: [Response] = []
    /// What came while the queue owes an answer.
    private var held: [UInt8] = []
    private var output: [UInt8] = []
    private var actions: [PackageAction] = []

    /// - Parameter databytes: bytes that a message may have, for clients without a limit of their own; 0 is no limit.
    package init(_ client: Client, _ rcpthosts: Rcpthosts, databytes: UInt64, limits: PackageLimits = PackageLimits()) {
        self.client = client
        self.rcpthosts = rcpthosts
        self.databytes = client.databytes ?? databytes
        self.limits = limits
        content = QMTPContent()
        address = AddressAccumulator(limit: limits.address)
    }

    /// False while more input would only be held.
    package var wantsInput: Bool {
        if case .awaitingQueue = state { return false }
        return true
    }

    // MARK: Events

    package mutating func bytesReceived(_ bytes: [UInt8], time: UInt64) -> [PackageAction] {
        process(bytes[...], time)
        return takeActions()
    }

    package mutating func queueAnswered(_ answer: QueueAnswer, time: UInt64) -> [PackageAction] {
        if case .awaitingQueue = state {
            respond(answer)
            let input = held
            held = []
            process(input[...], time)
        } else if isBegun {
            if failure == nil { failure = answer }
            isBegun = false
        }
        return takeActions()
    }

    package mutating func clientEnded() -> [PackageAction] {
        abandon()
        state = .closed
        return takeActions()
    }

    // MARK: Input

    private mutating func process(_ bytes: ArraySlice<UInt8>, _ time: UInt64) {
        var input = bytes
        do throws(NetstringReader.Failure) {
            while try step(&input, time) {}
        } catch {
            close(error == .tooLong ? .trouble : .protocolError)
        }
    }

    /// - Returns: false when nothing more can be done with the input.
    private mutating func step(_ input: inout ArraySlice<UInt8>, _ time: UInt64) throws(NetstringReader.Failure) -> Bool {
        switch state {
        case .closed: return false
        case .awaitingQueue:
            held.append(contentsOf: input)
            return false
        case .message, .sender, .recipients: break
        }
        guard let part = try reader.next(&input) else { return false }
        switch state {
        case .message: try take(message: part, time)
        case .sender: take(sender: part)
        case .recipients: try take(recipients: part)
        case .awaitingQueue, .closed: break
        }
        return true
    }

    private mutating func take(message part: NetstringReader.Part, _ time: UInt64) throws(NetstringReader.Failure) {
        switch part {
        case .began(let length):
            // The first byte says how lines end, so there is one.
            guard length > 0 else { throw .malformed }
            content = QMTPContent()
            failure = nil
            sender = nil
            recipients = []
            responses = []
        case .content(var piece):
            if !content.isBegun {
                guard content.begin(piece.removeFirst()) else { throw .malformed }
                isBegun = true
                actions += [.begin, .content(receivedField(from: client, with: "QMTP", at: time)[...])]
            }
            forward(content.decode(piece))
        case .ended:
            forward(content.finish())
            state = .sender
        }
    }

    private mutating func forward(_ bytes: ArraySlice<UInt8>) {
        if databytes > 0, content.bytes > databytes, failure == nil {
            failure = .refused(isPermanent: true, text: "sorry, that message size exceeds my databytes limit (#5.3.4)")
        }
        if failure == nil, !bytes.isEmpty { actions.append(.content(bytes)) }
    }

    private mutating func take(sender part: NetstringReader.Part) {
        switch part {
        case .began(let length): address.begin(length: length)
        case .content(let piece): address.append(piece)
        case .ended:
            sender = address.address
            if sender == nil, failure == nil { failure = .refused(isPermanent: true, text: "unacceptable sender (#5.1.7)") }
            state = .recipients
        }
    }

    private mutating func take(recipients part: NetstringReader.Part) throws(NetstringReader.Failure) {
        switch part {
        case .began(let length): guard length <= limits.recipientBytes else { throw .tooLong }
        case .content(var piece): while let inner = try recipientReader.next(&piece) { try take(recipient: inner) }
        case .ended:
            guard recipientReader.isBetween else { throw .malformed }
            finish()
        }
    }

    private mutating func take(recipient part: NetstringReader.Part) throws(NetstringReader.Failure) {
        switch part {
        case .began(let length):
            guard responses.count < limits.recipients else { throw .tooLong }
            address.begin(length: length)
        case .content(let piece): address.append(piece)
        case .ended: judge(address.address)
        }
    }

    private mutating func judge(_ recipient: Address?) {
        let relay = client.relay ?? []
        guard let recipient, recipient.bytes.count + relay.count <= limits.address, let final = Address(recipient.bytes + relay) else {
            return responses.append(.unusable)
        }
        let verdict = client.relay == nil ? rcpthosts.allows(recipient) : .found
        switch verdict {
        case .found:
            recipients.append(final)
            responses.append(.message)
        case .absent: responses.append(.domainNotAllowed)
        // Nobody knows whether it is one of ours.
        case .unreadable: close(.trouble)
        }
    }

    /// All of a package has come.
    private mutating func finish() {
        if case .closed = state { return }
        guard let sender, failure == nil, !recipients.isEmpty else {
            let answer = failure
            abandon()
            return respond(answer ?? .refused(isPermanent: true, text: ""))
        }
        state = .awaitingQueue
        isBegun = false
        actions.append(.commit(Envelope(sender: sender, recipients: recipients)))
    }

    // MARK: Output

    private mutating func respond(_ answer: QueueAnswer) {
        let message = answer.response
        for response in responses { output.append(netstring: response.text ?? message) }
        state = .message
    }

    private mutating func abandon() {
        if isBegun { actions.append(.abort) }
        isBegun = false
    }

    private mutating func close(_ ending: PackageEnding) {
        if case .closed = state { return }
        abandon()
        state = .closed
        actions.append(.close(ending))
    }

    /// Responses go out before what comes after them in the input is acted on.
    private mutating func takeActions() -> [PackageAction] {
        defer {
            output = []
            actions = []
        }
        return output.isEmpty ? actions : [.send(output)] + actions
    }
}
