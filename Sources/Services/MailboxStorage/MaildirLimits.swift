private import Bytes

/// The limits of a quota of Maildir++, and what counts against them.
package struct MaildirLimits: Equatable, Sendable {
    /// 0 is no limit.
    package let bytes: UInt64
    package let messages: UInt64

    /// `1000000S,1000C`; other parts are for other programs.
    /// - Returns: nil when it limits nothing.
    package init?(_ notation: some Collection<UInt8>) {
        var (bytes, messages) = (UInt64(0), UInt64(0))
        for part in Array(notation).split(separator: ASCII.comma) {
            guard let number = parseDecimal(part.dropLast()) else { continue }
            switch part.last {
            case UInt8(ascii: "S"): bytes = number
            case UInt8(ascii: "C"): messages = number
            default: continue
            }
        }
        guard bytes > 0 || messages > 0 else { return nil }
        self.bytes = bytes
        self.messages = messages
    }

    var notation: [UInt8] {
        let parts = [bytes > 0 ? "\(bytes)S" : nil, messages > 0 ? "\(messages)C" : nil]
        return Array(parts.compactMap { $0 }.joined(separator: ",").utf8)
    }

    package func haveRoom(for size: Int, beside usage: MaildirUsage) -> Bool {
        (bytes == 0 || usage.bytes + min(Int64(clamping: size), MaildirUsage.limit) <= Int64(clamping: bytes))
            && (messages == 0 || usage.messages + 1 <= Int64(clamping: messages))
    }
}

/// What a Maildir holds. Below nought only when somebody else's sums are wrong.
package struct MaildirUsage: Equatable {
    /// More than any disk holds; the sum of two stays a number.
    fileprivate static let limit = Int64(1) << 60

    package private(set) var bytes: Int64 = 0
    package private(set) var messages: Int64 = 0

    mutating func add(bytes: Int64, messages: Int64) {
        self.bytes = min(max(self.bytes + min(max(bytes, -Self.limit), Self.limit), -Self.limit), Self.limit)
        self.messages = min(max(self.messages + min(max(messages, -Self.limit), Self.limit), -Self.limit), Self.limit)
    }
}

/// A `maildirsize` file: the quota, then a line `BYTES MESSAGES` for each change.
package struct MaildirSizes: Equatable {
    package let limits: MaildirLimits
    package let usage: MaildirUsage
    package let lines: Int

    /// Programs add to a longer one no more, but count anew.
    static let maxBytes = 5120

    /// Nil when it is no such file, or too long.
    package init?(_ text: [UInt8]) {
        var lines = text.split(separator: ASCII.lf)[...]
        guard text.count <= Self.maxBytes, text.last == ASCII.lf, let first = lines.popFirst(), let limits = MaildirLimits(first) else { return nil }
        var usage = MaildirUsage()
        for line in lines {
            let fields = line.split(separator: ASCII.space)
            guard fields.count == 2, let bytes = Self.number(fields[0]), let messages = Self.number(fields[1]) else { return nil }
            usage.add(bytes: bytes, messages: messages)
        }
        self.limits = limits
        self.usage = usage
        self.lines = lines.count
    }

    private static func number(_ text: ArraySlice<UInt8>) -> Int64? {
        let isNegative = text.first == ASCII.hyphen
        return parseDecimal(isNegative ? text.dropFirst() : text).flatMap(Int64.init(exactly:)).map { isNegative ? -$0 : $0 }
    }

    /// The size in a message's name, `…,S=1234…`.
    package static func size(inName name: some Collection<UInt8>) -> Int64? {
        for part in Array(name.prefix { $0 != ASCII.colon }).split(separator: ASCII.comma).dropFirst() where part.starts(with: "S=".utf8) {
            return parseDecimal(part.dropFirst(2)).flatMap(Int64.init(exactly:))
        }
        return nil
    }

    /// A message that its reader has thrown away already, `…:2,…T…`, does not count.
    package static func isThrownAway(_ name: some Collection<UInt8>) -> Bool {
        let info = name.drop { $0 != ASCII.colon }
        return info.starts(with: ":2,".utf8) && info.contains(UInt8(ascii: "T"))
    }
}
