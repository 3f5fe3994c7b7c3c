private import Bytes

/// The addresses of a field, read from right to left as qmail does (spec-qmail §11.4): that way a phrase is known to be one before it is reached.
struct AddressList {
    /// The whole list with every address rewritten, left to right.
    private(set) var tokens: [HeaderToken] = []
    /// Where in `output` each address is, rewritten, the rightmost first.
    private var ranges: [Range<Int>] = []
    /// False when something could not be read: `addresses` holds what was found before, right of it.
    private(set) var isComplete = true

    private let rewriting: AddressRewriting?
    /// Right to left, as they are read.
    private var output: [HeaderToken] = []
    /// The address under way, right to left.
    private var address: [HeaderToken] = []
    private var isInGroup = false
    /// Whether a word may come now: not just left of another word.
    private var mayBeWord = true

    /// - Parameter rewriting: nil = addresses stay as they are.
    init(_ value: [HeaderToken], _ rewriting: AddressRewriting?) {
        self.rewriting = rewriting
        isComplete = read(value)
        tokens = output.reversed()
    }

    /// Each address, rewritten, the rightmost first.
    var addresses: [ArraySlice<HeaderToken>] {
        ranges.map { tokens[(tokens.count - $0.upperBound)..<(tokens.count - $0.lowerBound)] }
    }

    private mutating func read(_ value: [HeaderToken]) -> Bool {
        var left = value[...]
        output.reserveCapacity(value.count)
        while let token = left.popLast() {
            switch token {
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
                readGroupName(&left)
            case .right:
                if !address.isEmpty { flushWithComma() }
                readRoute(&left)
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
    private mutating func readRoute(_ left: inout ArraySlice<HeaderToken>) {
        // Without `<` this is an address with a stray `>` behind it.
        output.append(.right)
        while let token = left.last, token != .left {
            if case .comment = token { output.append(token) } else { address.append(token) }
            left.removeLast()
        }
        let isClosed = left.popLast() != nil
        if isClosed || !address.isEmpty { take() }
        guard isClosed else { return }
        output.append(.left)
        while let token = left.last, AddressList.belongsToPhrase(token) {
            output.append(token)
            left.removeLast()
        }
        mayBeWord = false
    }

    private static func belongsToPhrase(_ token: HeaderToken) -> Bool {
        switch token {
        case .atom, .quoted, .literal, .comment, .dot, .at: true
        default: false
        }
    }

    private mutating func readGroupName(_ left: inout ArraySlice<HeaderToken>) {
        while let token = left.last, token != .comma {
            output.append(token)
            left.removeLast()
        }
    }

    /// Ends the address under way, also an empty one.
    private mutating func take() {
        let start = output.count
        if let rewriting, !rewriting.leaves(rightToLeft: address) {
            output += rewriting.rewritten(address.reversed()).reversed()
        } else {
            output += address
        }
        ranges.append(start..<output.count)
        address.removeAll(keepingCapacity: true)
    }

    private mutating func flush() { if !address.isEmpty { take() } }

    private mutating func flushWithComma() {
        flush()
        output.append(.comma)
    }
}

extension HeaderField {
    /// The addresses of this field as they stand there, in envelope form, from right to left; nil when it cannot be read.
    package var addresses: [[UInt8]]? {
        guard let tokens = HeaderTokenizer.tokens(value) else { return nil }
        let list = AddressList(tokens, nil)
        return list.isComplete ? list.addresses.map(\.envelopeForm) : nil
    }
}
