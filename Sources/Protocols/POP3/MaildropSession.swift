private import Bytes
private import WireContent

/// The TRANSACTION and UPDATE states of POP3 (RFC 1939 §5, §6) as a value, with the replies of qmail-pop3d (spec-qmail §16.3) or modern ones. The list
/// of messages is what it was at the beginning; contents are asked for and come in pieces.
///
/// Messages go out as they are stored, after the command UTF8 and without it (docs/decisions/0029).
package struct MaildropSession {
    package struct Message: Sendable {
        /// As it is stored, which LIST and STAT say.
        package let bytes: UInt64
        /// For ``UniqueIDs``.
        package let name: [UInt8]

        package init(bytes: UInt64, name: [UInt8]) {
            self.bytes = bytes
            self.name = name
        }
    }

    package enum Action: Equatable {
        /// To the client.
        case send([UInt8])
        /// Open message number …, from 0; answered by ``retrievalFailed()`` or ``retrievalBegan()``, then ``contentReceived(_:)`` and ``contentEnded()``.
        case retrieve(Int)
        /// Remove these messages, from 0, and mark the others as seen by a reader; answered by ``updated(failures:)``.
        case update(removing: Set<Int>)
        /// Close the connection once everything is sent. Nothing more comes.
        case close
    }

    private enum State {
        case waiting
        /// Content is asked for.
        case opening(TopOfMessage)
        case retrieving(TopOfMessage, MessageEncoder)
        case updating
        case closed
    }

    private let profile: Profile
    private let messages: [Message]
    private lazy var uniqueIDs = UniqueIDs.of(messages.map(\.name))
    private var deleted: Set<Int> = []
    /// Bytes of those that are not deleted.
    private var total: UInt64
    /// The highest number that was deleted; 0 without.
    private var last = 0
    private var state = State.waiting
    private var lines = CommandLines()
    private var replies = Replies<Action>()

    package init(_ profile: Profile, _ messages: [Message]) {
        self.profile = profile
        self.messages = messages
        total = messages.reduce(0) { $0 &+ $1.bytes }
    }

    /// False while more input would only be held.
    package var wantsInput: Bool { lines.count < CommandLines.maxHeld }

    /// Whether content is still wanted: TOP needs no more than its lines.
    package var wantsContent: Bool {
        if case .retrieving(let top, _) = state { return !top.isComplete }
        return false
    }

    // MARK: Events

    /// The first reply is also the login's.
    package mutating func opened() -> [Action] {
        say("+OK ")
        return takeActions()
    }

    package mutating func bytesReceived(_ bytes: some Collection<UInt8>) -> [Action] {
        lines.append(bytes)
        process()
        return takeActions()
    }

    package mutating func retrievalBegan() -> [Action] {
        guard case .opening(let top) = state else { return [] }
        say("+OK ")
        state = .retrieving(top, MessageEncoder(.data))
        return takeActions()
    }

    /// The message is not there any more, or cannot be read.
    package mutating func retrievalFailed() -> [Action] {
        guard case .opening = state else { return [] }
        say("-ERR unable to open that message")
        state = .waiting
        process()
        return takeActions()
    }

    package mutating func contentReceived(_ piece: ArraySlice<UInt8>) -> [Action] {
        guard case .retrieving(var top, var encoder) = state else { return [] }
        encoder.encode(top.take(piece), into: &replies.bytes)
        state = .retrieving(top, encoder)
        return takeActions()
    }

    /// No more comes, or is wanted.
    package mutating func contentEnded() -> [Action] {
        guard case .retrieving(_, var encoder) = state else { return [] }
        encoder.completeLine(in: &replies.bytes)
        // qmail-pop3d gives an empty line more than the message has.
        if profile == .classic { replies.bytes.append("\r\n") }
        replies.bytes.append(".\r\n")
        state = .waiting
        process()
        return takeActions()
    }

    /// Answers ``Action/update(removing:)``.
    /// - Parameter failures: messages that should be gone and are not.
    package mutating func updated(failures: Int) -> [Action] {
        guard case .updating = state else { return [] }
        switch profile {
        case .classic:
            for _ in 0..<failures { say("-ERR unable to unlink all deleted messages") }
            say("+OK ")
        case .modern: say(failures == 0 ? "+OK " : "-ERR [SYS/TEMP] some deleted messages could not be removed")
        }
        close()
        return takeActions()
    }

    // MARK: Commands

    private mutating func process() {
        while case .waiting = state, let line = lines.next() {
            switch line {
            case .line(let line): handle(Command(line))
            case .tooLong:
                say("-ERR line too long")
                close()
            }
        }
    }

    private mutating func handle(_ command: Command) {
        switch command.verb {
        case "stat": say("+OK \(messages.count - (profile == .classic ? 0 : deleted.count)) \(total)")
        case "list": list(command.argument) { session, index, line in line.append(decimal: session.messages[index].bytes) }
        case "uidl": list(command.argument) { session, index, line in line += session.uniqueIDs[index] }
        case "capa" where profile == .modern: replies.say(list: Capabilities.lines(nil, isEncrypted: false))
        case "lang" where profile == .modern: Language.take(command.argument, &replies)
        case "retr", "top": retrieve(command.argument)
        case "dele": delete(command.argument)
        case "rset": reset()
        case "last": say("+OK \(last)")
        case "noop": say("+OK ")
        case "quit":
            state = .updating
            replies.add(.update(removing: deleted))
        default: say("-ERR unimplemented")
        }
    }

    private mutating func list(_ argument: ArraySlice<UInt8>, _ appendValue: (inout MaildropSession, Int, inout [UInt8]) -> Void) {
        guard argument.isEmpty else {
            guard let index = index(argument) else { return }
            return appendLine("+OK ", index, appendValue)
        }
        say("+OK ")
        for index in messages.indices where !deleted.contains(index) { appendLine("", index, appendValue) }
        say(".")
    }

    /// A line for one of perhaps very many messages.
    private mutating func appendLine(_ start: StaticString, _ index: Int, _ appendValue: (inout MaildropSession, Int, inout [UInt8]) -> Void) {
        var line: [UInt8] = []
        line.append(start)
        line.append(decimal: UInt64(index + 1))
        line.append(ASCII.space)
        appendValue(&self, index, &line)
        replies.say(line)
    }

    private mutating func retrieve(_ argument: ArraySlice<UInt8>) {
        guard let index = index(argument) else { return }
        let rest = argument.drop(while: \.isDigit).drop { $0 == ASCII.space }
        state = .opening(TopOfMessage(bodyLines: rest.first?.isDigit == true ? parseLeadingDecimal(rest) ?? .max : nil))
        replies.add(.retrieve(index))
    }

    private mutating func delete(_ argument: ArraySlice<UInt8>) {
        guard let index = index(argument) else { return }
        deleted.insert(index)
        total &-= messages[index].bytes
        last = max(last, index + 1)
        say("+OK ")
    }

    private mutating func reset() {
        deleted = []
        total = messages.reduce(0) { $0 &+ $1.bytes }
        last = 0
        say("+OK ")
    }

    /// The message whose number the argument begins with; without one the client is told why.
    private mutating func index(_ argument: ArraySlice<UInt8>) -> Int? {
        guard argument.first?.isDigit == true else { return refuse("syntax error") }
        // A number that does not fit is as much beyond the last message as any.
        let number = parseLeadingDecimal(argument) ?? .max
        guard number > 0 else { return refuse("messages are counted from 1") }
        guard number <= UInt64(messages.count) else { return refuse("not that many messages") }
        let index = Int(number) - 1
        return deleted.contains(index) ? refuse("already deleted") : index
    }

    private mutating func refuse(_ why: String) -> Int? {
        say("-ERR \(why)")
        return nil
    }

    // MARK: Output

    private mutating func say(_ line: String) { replies.say(line) }

    private mutating func close() {
        state = .closed
        replies.add(.close)
    }

    private mutating func takeActions() -> [Action] { replies.take { .send($0) } }
}
