import Addresses
import Bytes
import JournalFormat
import Testing

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite struct PackedRecipientsTests {
    private let mixed = PackedRecipients(grouping: [
        (bytes("a@one.example"), .remote), (bytes("joe@here.example"), .local), (bytes("b@two.example"), .remote), (bytes("c@ONE.example"), .remote),
    ])

    private func addresses(_ recipients: PackedRecipients) -> [String] {
        var found: [String] = []
        recipients.visit { found.append(String(decoding: $0.address, as: UTF8.self)) }
        return found
    }

    @Test func recipientsStandGroupedByChannelAndHost() {
        #expect(addresses(mixed) == ["joe@here.example", "a@one.example", "c@ONE.example", "b@two.example"])
        #expect(mixed.pendingCount(.local) == 1)
        #expect(mixed.pendingCount(.remote) == 3)
    }

    @Test func anEndedRecipientIsNotTriedAgain() throws {
        var recipients = mixed
        let first = try #require(recipients.nextPending(.remote, from: 0))
        recipients.end(first.offset, as: .delivered)
        recipients.end(first.offset, as: .failed)
        #expect(recipients.recipient(at: first.offset)?.state == .delivered)
        #expect(recipients.nextPending(.remote, from: 0)?.address == bytes("c@ONE.example")[...])
        #expect(recipients.pendingCount(.remote) == 2)
        #expect(!recipients.isFinished)
    }

    @Test func readsBackWhatWasWritten() {
        var recipients = mixed
        recipients.end(0, as: .failed)
        let again = PackedRecipients(bytes: recipients.bytes)
        #expect(again == recipients)
        #expect(again?.pendingCount(.local) == 0)
        #expect(again?.count == 4)
    }

    @Test func whatAnAdministratorEndsIsOpenUntilItsDeliveryEnds() throws {
        var recipients = mixed
        let first = try #require(recipients.nextPending(.remote, from: 0))
        recipients.end(first.offset, as: .expiring)
        #expect(recipients.nextPending(.remote, from: 0)?.offset != first.offset)
        #expect(recipients.pendingCount(.remote) == 3)
        #expect(PackedRecipients(bytes: recipients.bytes)?.pendingCount(.remote) == 3)
        recipients.end(first.offset, as: .removing)
        recipients.end(first.offset, as: .pending)
        #expect(recipients.recipient(at: first.offset)?.state == .removing)
        recipients.end(first.offset, as: .removed)
        recipients.end(first.offset, as: .delivered)
        #expect(recipients.recipient(at: first.offset)?.state == .removed)
        #expect(recipients.pendingCount(.remote) == 2)
    }

    @Test func aFailureCanBeTakenBackOnlyByRemoving() {
        var recipients = mixed
        recipients.end(0, as: .failed)
        recipients.end(0, as: .delivered)
        #expect(recipients.failedCount == 1)
        recipients.end(0, as: .removed)
        #expect(recipients.failedCount == 0)
        #expect(recipients.recipient(at: 0)?.state == .removed)
    }

    @Test func aReroutedRecipientGoesOnAtTheEnd() throws {
        var recipients = mixed
        let end = UInt32(recipients.bytes.count)
        recipients.reroute(0, to: .init(remote: bytes("joe@here.example"), relay: bytes("relay:2525")))
        #expect(recipients.pendingCount(.local) == 0)
        #expect(recipients.pendingCount(.remote) == 4)
        let moved = try #require(recipients.nextPending(.remote, from: end))
        #expect(moved.offset == end)
        #expect(moved.address == bytes("joe@here.example")[...])
        #expect(moved.relay == bytes("relay:2525")[...])
        #expect(recipients.offset(after: moved) == UInt32(recipients.bytes.count))
        // It went already.
        recipients.reroute(0, to: .init(local: bytes("x"), prepended: 0))
        #expect(recipients.count == 5)
        recipients.reroute(end, to: .init(local: bytes("joe-joe@here.example"), prepended: 4))
        let local = try #require(recipients.nextPending(.local, from: 0))
        #expect(local.prependedCount == 4)
        #expect(local.relay.isEmpty)
        #expect(PackedRecipients(bytes: recipients.bytes) == recipients)
        #expect(PackedRecipients.Route(local: bytes("joe-joe@here.example"), prepended: 4).isTaken(by: local))
        #expect(!PackedRecipients.Route(local: bytes("joe@here.example"), prepended: 0).isTaken(by: local))
    }

    /// "None" and "not known" are not the same: an address may begin like a prepend.
    @Test func howMuchAVirtualDomainAddedIsKnownOrNot() throws {
        var recipients = PackedRecipients()
        let start = PackedRecipients.Route(local: bytes("joe-x@here.example"), prepended: 0)
        recipients.append(start.address, channel: start.channel, note: start.note)
        #expect(try #require(recipients.recipient(at: 0)).prependedCount == 0)
        recipients = PackedRecipients()
        recipients.append(start.address, channel: .local)
        #expect(try #require(recipients.recipient(at: 0)).prependedCount == nil)
        #expect(start.isTaken(by: try #require(recipients.recipient(at: 0))))
        recipients = PackedRecipients()
        recipients.append(start.address, channel: .remote)
        #expect(try #require(recipients.recipient(at: 0)).prependedCount == 0)
    }

    @Test(
        arguments: [
            [16, 0, 0], [16, 1, 0, 0], [16, 2, 0, 97, 0], [16, 2, 0, 97, 2], [14, 0, 0], [32, 0, 0],
        ] as [[UInt8]])
    func whatNobodyWritesIsNoRecipientList(_ bytes: [UInt8]) { #expect(PackedRecipients(bytes: bytes) == nil) }

    @Test func aCutIsNoRecipientList() {
        let whole = mixed.bytes
        let ends = Set([0] + addresses(mixed).reduce(into: [0]) { $0.append(($0.last ?? 0) + 3 + $1.utf8.count) })
        for length in 0...whole.count { #expect((PackedRecipients(bytes: Array(whole[..<length])) != nil) == ends.contains(length)) }
    }

    @Test func wrongOffsetsAreNobody() {
        #expect(mixed.recipient(at: 9999) == nil)
        #expect(mixed.nextPending(.local, from: .max) == nil)
    }
}

@Suite struct JournalRecordTests {
    static let message = MessageRecord(
        id: 7, birth: 8, qp: 9, uid: 10, sender: bytes("s@x"), recipients: PackedRecipients(grouping: [(bytes("r@y"), .remote)]), nextLocal: 11,
        nextRemote: 12, failures: FailureTexts(), content: .file(length: 1 << 40, check: 5))

    static let held: MessageRecord = {
        var held = message
        held.isHeld = true
        held.content = .inline(segment: 1, offset: 2, length: 3, check: 4)
        return held
    }()

    static let records: [JournalRecord] = [
        .accept(message), .carry(message), .outcome(id: 1, recipient: 2, .failed, text: bytes("no\n")[...]), .retry(id: 3, .remote, next: 4),
        .finish(id: 5, bounce: 6), .hold(id: 8), .release(id: 9),
        .reroute(id: 1, recipient: 2, .init(remote: bytes("r@y"), relay: bytes("relay"))),
        .reroute(id: 1, recipient: 2, .init(local: bytes("u-r@y"), prepended: 2)), .carry(held), .void(segment: 7, from: 8, through: .max),
    ]

    @Test(arguments: records) func readsBackWhatWasWritten(_ record: JournalRecord) {
        var encoded: [UInt8] = []
        record.encode(into: &encoded)
        var reader = ByteReader(encoded)
        #expect(JournalRecord(&reader) == record)
        #expect(reader.isAtEnd)
    }

    @Test(arguments: records) func aCutIsNoRecord(_ record: JournalRecord) {
        var encoded: [UInt8] = []
        record.encode(into: &encoded)
        for length in 0..<encoded.count {
            var reader = ByteReader(Array(encoded[..<length]))
            #expect(JournalRecord(&reader) == nil)
        }
    }

    @Test func theCheckOfAnInlineContentIsWhereItIsSaidToBe() {
        var message = Self.message
        message.content = .inline(segment: 1, offset: 2, length: 3, check: 0xDEAD_BEEF)
        var encoded: [UInt8] = []
        JournalRecord.accept(message).encode(into: &encoded)
        var reader = ByteReader(encoded[MessageRecord.inlineCheckOffset...])
        #expect(reader.number(UInt32.self) == 0xDEAD_BEEF)
    }
}

@Suite struct SegmentHeaderTests {
    private func header() throws -> SegmentHeader {
        let salt = try #require(Salt([UInt8](1...16)))
        return SegmentHeader(number: 3, salt: salt, epoch: 4, firstSequence: 5, oldestSegment: 2, lastID: 6, size: 1 << 20)
    }

    @Test func aSaltHasSixteenBytes() { #expect(Salt([1, 2, 3]) == nil) }

    @Test func isOneBlockAndReadsBack() throws {
        let header = try header()
        #expect(header.encode().count == Block.size)
        #expect(SegmentHeader.read(header.encode()) == .header(header))
        #expect(SegmentHeader.read([UInt8](repeating: 0, count: Block.size)) == .blank)
    }

    @Test func everyFlippedByteIsSeen() throws {
        let block = try header().encode()
        for offset in 0..<80 {
            var broken = block
            broken[offset] ^= 1
            #expect(SegmentHeader.read(broken) == .damaged)
        }
    }
}
