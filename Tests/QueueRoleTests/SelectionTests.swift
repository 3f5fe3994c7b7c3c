import Addresses
import Frames
import JournalFormat
import QueueRole
import Testing

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite struct SelectionTests {
    private static let record: MessageRecord = {
        var recipients = PackedRecipients()
        recipients.append(bytes("joe-list@Virtual.example"), channel: .local, note: [4])
        recipients.append(bytes("far@far.example"), channel: .remote)
        return MessageRecord(
            id: 7, birth: 1000, qp: 1, uid: 2, sender: bytes("Bob@Home.example"), recipients: recipients, nextLocal: 0, nextRemote: 0,
            failures: FailureTexts(), content: .file(length: 1, check: 0))
    }()

    private static func selection(_ change: (inout Admin.Selection) -> Void) -> Admin.Selection {
        var selection = Admin.Selection()
        change(&selection)
        return selection
    }

    /// What is selected of the record above at second 1100: whether the message, and which recipients.
    static let cases: [(Admin.Selection, Bool, [String])] = [
        (.everything, true, ["joe-list@Virtual.example", "far@far.example"]),
        (selection { $0.sender = bytes("bob@home.EXAMPLE") }, true, ["joe-list@Virtual.example", "far@far.example"]),
        (selection { $0.sender = [] }, false, ["joe-list@Virtual.example", "far@far.example"]),
        (selection { $0.minAge = 100 }, true, ["joe-list@Virtual.example", "far@far.example"]),
        (selection { $0.minAge = 101 }, false, ["joe-list@Virtual.example", "far@far.example"]),
        (selection { $0.maxAge = 99 }, false, ["joe-list@Virtual.example", "far@far.example"]),
        (selection { $0.isHeld = true }, false, ["joe-list@Virtual.example", "far@far.example"]),
        (selection { $0.channel = .remote }, true, ["far@far.example"]),
        (selection { $0.domain = bytes("virtual.example") }, true, ["joe-list@Virtual.example"]),
        (selection { $0.domain = bytes("*.example") }, true, ["joe-list@Virtual.example", "far@far.example"]),
        (selection { $0.recipient = bytes("list@virtual.example") }, true, ["joe-list@Virtual.example"]),
        (selection { $0.recipient = bytes("joe-*") }, true, ["joe-list@Virtual.example"]),
        (selection { $0.recipient = bytes("nobody@*") }, true, []),
        (
            selection {
                $0.recipient = bytes("*list*")
                $0.channel = .remote
            }, true, []
        ),
    ]

    @Test(arguments: cases.indices) func selects(_ number: Int) {
        let (selection, isSelected, addresses) = Self.cases[number]
        #expect(selection.matches(Self.record, now: 1100) == isSelected)
        var found: [String] = []
        Self.record.recipients.visit { if selection.matches($0) { found.append(String(decoding: $0.address, as: UTF8.self)) } }
        #expect(found == addresses)
        #expect(selection.matchesSome(Self.record.recipients) == !addresses.isEmpty)
    }

    @Test func whoHasEndedIsNotOpen() {
        var recipients = Self.record.recipients
        recipients.end(0, as: .delivered)
        #expect(!Self.selection { $0.channel = .local }.matchesSome(recipients))
        #expect(Self.selection { $0.channel = .remote }.matchesSome(recipients))
    }

    @Test(arguments: [
        ("", "", true), ("", "a", false), ("*", "", true), ("*", "abc", true), ("a*c", "abc", true), ("a*c", "ac", true), ("a*c", "abcd", false),
        ("*a*b", "xaxbxb", true), ("*a*b", "xbxa", false), ("A", "a", true), ("a**", "a", true), ("*ab", "aab", true),
    ])
    func starsStandForAnything(_ pattern: String, _ text: String, _ fits: Bool) {
        #expect(Admin.Selection.matches(bytes(pattern), bytes(text)[...]) == fits)
    }

    /// A pattern of stars costs no more than the product of the lengths.
    @Test func manyStarsEnd() {
        let pattern = bytes(String(repeating: "*a", count: 500) + "b")
        #expect(!Admin.Selection.matches(pattern, bytes(String(repeating: "a", count: 1000))[...]))
    }
}

@Suite struct DeferralTextsTests {
    @Test func theLastWordCounts() {
        var texts = DeferralTexts()
        texts.note(1, 0, bytes("first")[...])
        texts.note(1, 0, bytes("second")[...])
        #expect(texts[1, 0] == bytes("second"))
        #expect(texts[1, 3] == nil)
    }

    @Test func theOldestGoFirstAndSizesAreBounded() {
        var texts = DeferralTexts()
        for number in 0..<UInt64(3 * DeferralTexts.limit) { texts.note(number, 0, [UInt8](repeating: 0x78, count: 1000)[...]) }
        #expect(texts[UInt64(2 * DeferralTexts.limit) - 1, 0] == nil)
        #expect(texts[UInt64(2 * DeferralTexts.limit), 0]?.count == DeferralTexts.maxBytes)
    }
}
