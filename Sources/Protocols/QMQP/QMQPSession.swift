private import Addresses
private import Bytes
private import Netstrings
package import Reception

/// The server side of a QMQP connection as a value (spec-qmail §15.2): one request, a netstring of a message, a sender and recipients, each a netstring;
/// one response. It relays for everybody: whom it hears is decided before the connection is handed to it.
///
/// Module `QMQP` must not know sockets or files. What holds: a message is committed only as a whole, and acknowledged only after the queue's answer.
package struct QMQPSession: PackageServer {
    private enum Element {
        case message
        case sender
        case recipient
    }

    private let client: Client
    private let limits: PackageLimits

    private var outer = NetstringReader()
    private var inner = NetstringReader()
    private var element = Element.message
    private var isBegun = false
    private var isAwaitingQueue = false
    private var isClosed = false
    private var refusal: QueueAnswer?
    private var address: AddressAccumulator
    private var sender: Address?
    private var recipients: [Address] = []
    private var recipientCount = 0
    private var recipientBytes: UInt64 = 0
    private var actions: [PackageAction] = []

    package init(_ client: Client, limits: PackageLimits = PackageLimits()) {
        self.client = client
        self.limits = limits
        address = AddressAccumulator(limit: limits.address)
    }

    /// False once the request is whole: nothing may follow it.
    package var wantsInput: Bool { !isAwaitingQueue }

    // MARK: Events

    package mutating func bytesReceived(_ bytes: [UInt8], time: UInt64) -> [PackageAction] {
        var input = bytes[...]
        do throws(NetstringReader.Failure) {
            while !isClosed, !isAwaitingQueue, let part = try outer.next(&input) { try take(part, time) }
        } catch {
            close(error == .tooLong ? .trouble : .protocolError)
        }
        return takeActions()
    }

    package mutating func queueAnswered(_ answer: QueueAnswer, time: UInt64) -> [PackageAction] {
        if isAwaitingQueue {
            respond(answer)
        } else if isBegun {
            if refusal == nil { refusal = answer }
            isBegun = false
        }
        return takeActions()
    }

    package mutating func clientEnded() -> [PackageAction] {
        abandon()
        isClosed = true
        return takeActions()
    }

    // MARK: Input

    private mutating func take(_ part: NetstringReader.Part, _ time: UInt64) throws(NetstringReader.Failure) {
        switch part {
        case .began: break
        case .content(var piece): while let part = try inner.next(&piece) { try take(element: part, time) }
        case .ended:
            guard inner.isBetween, element == .recipient else { throw .malformed }
            finish()
        }
    }

    private mutating func take(element part: NetstringReader.Part, _ time: UInt64) throws(NetstringReader.Failure) {
        switch (element, part) {
        case (.message, .began):
            isBegun = true
            actions += [.begin, .content(receivedField(from: client, with: "QMQP", at: time)[...])]
        case (.message, .content(let piece)): if refusal == nil { actions.append(.content(piece)) }
        case (.message, .ended): element = .sender
        case (.sender, .began(let length)): address.begin(length: length)
        case (.recipient, .began(let length)):
            recipientCount += 1
            recipientBytes += length
            guard recipientCount <= limits.recipients, recipientBytes <= limits.recipientBytes else { throw .tooLong }
            address.begin(length: length)
        case (.sender, .content(let piece)), (.recipient, .content(let piece)): address.append(piece)
        case (.sender, .ended):
            sender = takeAddress()
            element = .recipient
        case (.recipient, .ended): if let recipient = takeAddress() { recipients.append(recipient) }
        }
    }

    /// One that cannot be taken fails the whole request.
    private mutating func takeAddress() -> Address? {
        if address.address == nil, refusal == nil {
            refusal = .refused(isPermanent: true, text: "sorry, I can't accept addresses like that (#5.1.3)")
        }
        return address.address
    }

    private mutating func finish() {
        guard let sender, refusal == nil else {
            let answer = refusal
            abandon()
            if let answer { respond(answer) }
            return
        }
        isAwaitingQueue = true
        isBegun = false
        actions.append(.commit(Envelope(sender: sender, recipients: recipients)))
    }

    // MARK: Output

    private mutating func respond(_ answer: QueueAnswer) {
        var response: [UInt8] = []
        response.append(netstring: answer.response)
        isAwaitingQueue = false
        actions.append(.send(response))
        close(.done)
    }

    private mutating func abandon() {
        if isBegun { actions.append(.abort) }
        isBegun = false
    }

    private mutating func close(_ ending: PackageEnding) {
        guard !isClosed else { return }
        abandon()
        isClosed = true
        actions.append(.close(ending))
    }

    private mutating func takeActions() -> [PackageAction] {
        defer { actions = [] }
        return actions
    }
}
