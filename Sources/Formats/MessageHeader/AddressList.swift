private import Bytes

/// The addresses of a field, read from right to left as qmail does (spec-qmail §11.4): that way a phrase is known to be one before it is reached.
///
/// One value reads field after field, in the same memory: a header may consist of nothing but short ones.
struct AddressList {
    /// The whole list with every address rewritten, left to right.
    private(set) var list: HeaderTokens
    /// False when something could not be read: `addresses` holds what was found before, right of it.
    private(set) var isComplete = true

    private let rewriting: AddressRewriting?
    /// How many tokens of `list` are still to be read.
    private var left = 0
    /// Right to left, as they are read.
    private var output: [HeaderToken] = []
    /// Where in `output` each address is, rewritten, the rightmost first.
    private var ranges: [Range<Int>] = []
    /// The address under way, right to left.
    private var address: [HeaderToken] = []
    private var isInGroup = false
    /// Whether a word may come now: not just left of another word.
    private var mayBeWord = true

    /// - Parameter rewriting: nil = addresses stay as they are.
    init(_ rewriting: AddressRewriting?) {
        self.rewriting = rewriting
        list = HeaderTokens(sharing: rewriting?.text ?? [])
    }

    /// Reads the value of a field.
    mutating func read(_ value: ArraySlice<UInt8>) { read { $0.append(parsing: value) } }

    /// - Parameter fill: appends the list; false when it cannot.
    mutating func read(_ fill: (inout HeaderTokens) -> Bool) {
        list.removeAll(keepingText: rewriting?.text.count ?? 0)
        output.removeAll(keepingCapacity: true)
        ranges.removeAll(keepingCapacity: true)
        address.removeAll(keepingCapacity: true)
        (isInGroup, mayBeWord) = (false, true)
        isComplete = false
        guard fill(&list) else { return }
        left = list.tokens.count
        output.reserveCapacity(left)
        isComplete = readAll()
        output.reverse()
        swap(&list.tokens, &output)
    }

    /// Where each address stands in the list, the rightmost first.
    var addresses: some Sequence<Range<Int>> {
        let count = list.tokens.count
        return ranges.lazy.map { (count - $0.upperBound)..<(count - $0.lowerBound) }
    }

    /// Each address in envelope form, the rightmost first.
    var envelopeForms: some Sequence<[UInt8]> { addresses.lazy.map { [list] in list.envelopeForm($0) } }

    /// The next token to the left.
    private var next: HeaderToken? { left > 0 ? list.tokens[left - 1] : nil }

    private mutating func take() -> HeaderToken? {
        guard let next else { return nil }
        left -= 1
        return next
    }

    private mutating func readAll() -> Bool {
        while let token = take() {
            switch token.kind {
            case .semicolon:
                flush()
                guard !isInGroup else { return false }
                isInGroup = true
                mayBeWord = true
                output.append(token)
            case .colon:
                flush()
                guard isInGroup else { return false }
                isInGroup = false
                output.append(token)
                readGroupName()
            case .right:
                if !address.isEmpty { flushWithComma() }
                readRoute()
            case .comma:
                flush()
                mayBeWord = true
                output.append(token)
            case .atom, .quoted, .literal:
                if !mayBeWord { flushWithComma() }
                mayBeWord = false
                address.append(token)
            case .comment: output.append(token)
            case .dot, .at, .left:
                mayBeWord = true
                address.append(token)
            }
        }
        flush()
        return !isInGroup
    }

    /// `<address>` and the phrase before it.
    private mutating func readRoute() {
        // Without `<` this is an address with a stray `>` behind it.
        output.append(HeaderToken(.right))
        while let token = next, token.kind != .left {
            if token.kind == .comment { output.append(token) } else { address.append(token) }
            left -= 1
        }
        let isClosed = take() != nil
        if isClosed || !address.isEmpty { endAddress() }
        guard isClosed else { return }
        output.append(HeaderToken(.left))
        while let token = next, token.belongsToPhrase {
            output.append(token)
            left -= 1
        }
        mayBeWord = false
    }

    private mutating func readGroupName() {
        while let token = next, token.kind != .comma {
            output.append(token)
            left -= 1
        }
    }

    /// Ends the address under way, also an empty one.
    private mutating func endAddress() {
        let start = output.count
        if let rewriting, !rewriting.leaves(rightToLeft: address, list.text) {
            address.reverse()
            rewriting.rewrite(&address, list.text)
            address.reverse()
        }
        output += address
        ranges.append(start..<output.count)
        address.removeAll(keepingCapacity: true)
    }

    private mutating func flush() { if !address.isEmpty { endAddress() } }

    private mutating func flushWithComma() {
        flush()
        output.append(HeaderToken(.comma))
    }
}

extension HeaderToken {
    fileprivate var belongsToPhrase: Bool {
        switch kind {
        case .atom, .quoted, .literal, .comment, .dot, .at: true
        default: false
        }
    }
}

extension HeaderField {
    /// The addresses of this field as they stand there, in envelope form, from right to left; nil when it cannot be read.
    package var addresses: [[UInt8]]? {
        var list = AddressList(nil)
        list.read(value)
        return list.isComplete ? Array(list.envelopeForms) : nil
    }
}
