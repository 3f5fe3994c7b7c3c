import Addresses
import Bounces
import JournalFormat
import QueueRole
import Routing
import Testing

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// qmail §8.2–8.4: who is told what of which recipients.
@Suite struct BouncePlanTests {
    private let original = bytes("Subject: s\n\nbody\n")

    private func plan(maxBytes: UInt64 = 0, isDouble: Bool = false, _ change: (inout MessageRecord) -> Void) -> BouncePlan {
        var recipients = PackedRecipients()
        for (address, channel) in [("v-joe@virtual.example", Channel.local), ("a@far.example", .remote), ("b@far.example", .remote)] {
            recipients.append(bytes(address), channel: channel)
        }
        var record = MessageRecord(
            id: 1, birth: 2, qp: 3, uid: 4, sender: bytes("s@home.example"), recipients: recipients, nextLocal: 0, nextRemote: 0,
            failures: FailureTexts(), content: .file(length: UInt64(original.count), check: 0))
        change(&record)
        let rewriting = AddressRewriting(envNoAtHost: [], locals: [], virtualDomains: [bytes("virtual.example"): bytes("v")])
        return BouncePlan(
            record: record, rewriting: rewriting, recipient: Address(record.sender) ?? .null, isDouble: isDouble,
            from: (bytes("MAILER-DAEMON"), bytes("me.example")), me: bytes("me.example"), maxBytes: maxBytes, format: .qsbmf, date: 5)
    }

    private func offset(_ address: String, _ record: MessageRecord) -> UInt32 {
        var found: UInt32 = 0
        record.recipients.visit { if $0.address == bytes(address)[...] { found = $0.offset } }
        return found
    }

    private func fail(_ address: String, _ text: String, _ record: inout MessageRecord, as state: PackedRecipients.State = .failed) {
        let offset = offset(address, record)
        record.recipients.end(offset, as: state)
        if !text.isEmpty { record.failures.append(offset, bytes(text)[...]) }
    }

    @Test func onlyWhoFailedIsNamedAndAsTheSenderWroteIt() {
        let content = plan { record in
            fail("v-joe@virtual.example", "gone\n", &record)
            fail("a@far.example", "", &record, as: .delivered)
            fail("b@far.example", "", &record)
        }.content(copying: original)
        let text = String(decoding: content, as: UTF8.self)
        #expect(text.contains("<joe@virtual.example>:\ngone\n"))
        #expect(text.contains("<b@far.example>:\n"))
        #expect(!text.contains("a@far.example"))
        #expect(text.hasSuffix("Subject: s\n\nbody\n"))
    }

    /// Its text was kept when it failed, and an administrator took it back.
    @Test func whoWasRemovedIsNotNamed() {
        let content = plan { record in
            fail("a@far.example", "first\n", &record)
            fail("b@far.example", "second\n", &record)
            record.recipients.end(offset("a@far.example", record), as: .removed)
        }.content(copying: original)
        let text = String(decoding: content, as: UTF8.self)
        #expect(text.contains("<b@far.example>:\nsecond\n"))
        #expect(!text.contains("a@far.example"))
        #expect(!text.contains("first"))
    }

    @Test func ofALargeOriginalOnlyTheHeaderGoesBack() {
        let plan = plan(maxBytes: 15) { fail("a@far.example", "no\n", &$0) }
        #expect(plan.copyBytes == 15)
        let text = String(decoding: plan.content(copying: Array(original.prefix(15))), as: UTF8.self)
        #expect(text.contains("Subject: s\n"))
        #expect(!text.contains("bod"))
    }

    @Test func anUnreadableOriginalIsSaidToBe() {
        let content = plan { fail("a@far.example", "no\n", &$0) }.content(copying: nil)
        #expect(String(decoding: content, as: UTF8.self).contains("(The queue could not read the message.)\n"))
    }

    @Test func aBounceIsFromNobodyAndADoubleBounceFromItsSpecialSender() {
        #expect(plan { _ in }.sender == .null)
        #expect(plan(isDouble: true) { _ in }.sender == .doubleBounce)
    }
}
