internal import Addresses
internal import ArgumentParser
internal import Frames

/// Which messages, as options; all that are given must hold.
struct SelectionOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("Ids of messages.", valueName: "id"))
    var ids: [UInt64] = []

    @Option(help: ArgumentHelp("Messages from this envelope sender; '*' stands for anything, '' for the sender of bounces.", valueName: "address"))
    var sender: String?

    @Option(help: ArgumentHelp("Recipients with this address, '*' likewise.", valueName: "address"))
    var recipient: String?

    @Option(help: ArgumentHelp("Recipients in this domain, '*' likewise.", valueName: "domain"))
    var domain: String?

    @Option(help: ArgumentHelp("Messages that came in longer ago than this: 30s, 15m, 12h, 2d, 1w.", valueName: "age"))
    var olderThan: Age?

    @Option(help: ArgumentHelp("Messages that came in since.", valueName: "age"))
    var youngerThan: Age?

    @Option(help: ArgumentHelp("Recipients on this channel: local or remote.", valueName: "channel"))
    var channel: ChannelName?

    @Flag(help: "Messages that are held.")
    var held = false

    enum ChannelName: String, ExpressibleByArgument {
        case local
        case remote
    }

    func validate() throws {
        for pattern in [sender, recipient, domain] where pattern?.utf8.count ?? 0 > Address.maxBytes {
            throw ValidationError("an address has at most \(Address.maxBytes) bytes")
        }
    }

    var selectsAll: Bool { selections == [Admin.Selection.everything] }

    /// In as many requests as the ids need.
    var selections: [Admin.Selection] {
        var selection = Admin.Selection()
        selection.sender = sender.map { $0 == "<>" ? [] : Array($0.utf8) }
        selection.recipient = recipient.map { Array($0.utf8) }
        selection.domain = domain.map { Array($0.utf8) }
        selection.channel = channel.map { $0 == .local ? .local : .remote }
        if let olderThan { selection.minAge = olderThan.seconds }
        if let youngerThan { selection.maxAge = max(youngerThan.seconds, 1) - 1 }
        if held { selection.isHeld = true }
        guard !ids.isEmpty else { return [selection] }
        // Each once: the second time it may be gone.
        var seen: Set<UInt64> = []
        let ids = ids.filter { seen.insert($0).inserted }
        return stride(from: 0, to: ids.count, by: Admin.Selection.maxIDs).map { start in
            var part = selection
            part.ids = Array(ids[start..<min(start + Admin.Selection.maxIDs, ids.count)])
            return part
        }
    }
}

/// A span of time as people write it: `2d`, `1h30m`; a number alone is seconds.
struct Age: ExpressibleByArgument {
    let seconds: UInt64

    private static let units: [Character: UInt64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]

    init?(argument: String) {
        var total: UInt64 = 0
        var digits = ""
        for character in argument.last?.isNumber == true ? argument + "s" : argument {
            guard let unit = Self.units[character] else {
                digits.append(character)
                continue
            }
            // A century is more than any queue keeps, and bounds the sum.
            guard let number = UInt64(digits), number <= 3_200_000_000 else { return nil }
            total = min(total + min(number, 3_200_000_000 / unit) * unit, 3_200_000_000)
            digits = ""
        }
        guard digits.isEmpty, !argument.isEmpty else { return nil }
        seconds = total
    }

    init(seconds: UInt64) { self.seconds = seconds }

    /// The largest unit that is not nought: `3d`.
    var text: String {
        let unit = Self.units.filter { $0.value <= max(seconds, 1) && $0.key != "w" }.max { $0.value < $1.value }
        return unit.map { "\(seconds / $0.value)\($0.key)" } ?? "0s"
    }
}
