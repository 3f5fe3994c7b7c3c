internal import MessageHeader
internal import WireContent

/// A message that is coming in, by DATA or in chunks: what was decoded and measured so far, and what is wrong with it.
struct Transfer {
    let transaction: Transaction
    private var decoder: ContentDecoder
    /// A bare LF is a line end, which it becomes by being kept, and no reason to refuse. It ends no message, and a dot behind it is text.
    private let mendsLineEnds: Bool
    private var meter = ContentMeter()
    private var discarded = 0
    /// Of a submission, until it has ended.
    private var header: SubmittedHeader?
    /// The queue's refusal, when it came before the end of the message.
    var queueFailure: Reply?
    /// Whether the queue still gets the content. A message that failed is read to its true end, but for nobody.
    private(set) var isForwarded = true

    init(_ transaction: Transaction, hasDots: Bool, _ header: SubmittedHeader? = nil, mendsLineEnds: Bool = false) {
        self.transaction = transaction
        self.header = header
        decoder = ContentDecoder(hasDots: hasDots)
        self.mendsLineEnds = mendsLineEnds
    }

    var isAtEnd: Bool { decoder.isAtEnd }
    var hasBareLF: Bool { !mendsLineEnds && decoder.strays.contains(.bareLF) }

    /// - Returns: the content for the queue, empty when there is none to hand on, and how many bytes of `input` were of this message.
    mutating func receive(_ input: UnsafeRawBufferPointer) -> (content: [UInt8], consumed: Int) {
        let (content, consumed) = decoder.decode(input)
        meter.measure(content)
        if !isForwarded { discarded += consumed }
        return (isForwarded ? completed(content, isLast: decoder.isAtEnd) : [], consumed)
    }

    private mutating func completed(_ content: [UInt8], isLast: Bool) -> [UInt8] {
        guard header != nil else { return content }
        guard let completed = header?.take(content) ?? (isLast ? header?.finish() : nil) else { return [] }
        header = nil
        return completed
    }

    /// For chunks: no more will come.
    mutating func finish() -> [UInt8] {
        let content = decoder.finish()
        meter.measure(content)
        return completed(content, isLast: true)
    }

    mutating func stopForwarding() {
        isForwarded = false
        header = nil
    }

    func hasDiscardedTooMuch(_ limits: Limits) -> Bool { discarded > limits.discarded }

    /// Why this message cannot be accepted, nil as long as it can. In qmail's order (spec-qmail §13.2): hops, size, queue; before them what breaks the protocol.
    func failure(databytes: UInt64, _ limits: Limits, _ profile: Profile) -> Reply? {
        if !profile.endsSessionAtBareLF {
            if decoder.strays.contains(.bareCR) || hasBareLF { return .strayNewline }
            if decoder.strays.contains(.nul) { return .nulInMessage }
        }
        if meter.hops > limits.hops { return .tooManyHops }
        if databytes > 0, meter.bytes > databytes { return .tooBig }
        if meter.headerBytes > limits.headerBytes || meter.headerFields > limits.headerFields { return .headerTooBig }
        return queueFailure
    }
}
