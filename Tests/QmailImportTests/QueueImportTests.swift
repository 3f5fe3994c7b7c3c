import Addresses
import Bytes
import Journal
import JournalFormat
import Posix
import QmailImport
import QueueStore
import SimulatedDisk
import Storage
import Testing

/// A queue on a simulated disk, imported into and looked at.
struct ImportedQueue {
    let disk: SimulatedDisk
    static let parameters: Journal.Parameters = {
        var parameters = Journal.Parameters()
        parameters.segmentSize = 64 << 10
        return parameters
    }()

    init(seed: UInt64) { disk = SimulatedDisk(seed: seed) }

    @discardableResult
    func run(_ queue: QueueFolder) throws -> ImportReport {
        let report = ImportReport()
        var salts = SplitMix(UInt64(disk.calls))
        let route: (Address) -> PackedRecipients.Route? = {
            switch $0.domain.map(Array.init) {
            case Array("here".utf8): .init(.local, $0.bytes, prepended: 0)
            case Array("virtual".utf8): .init(.local, Array("joe-".utf8) + $0.bytes, prepended: 4)
            case Array("long".utf8): nil
            default: .init(.remote, $0.bytes, prepended: 0)
            }
        }
        let run = try QueueImport(
            try SourceQueue(queue.path), into: disk, Self.parameters, random: { salts.bytes(16) }, route: route, report)
        try run.run()
        return report
    }

    func recovered() throws -> (index: QueueIndex, journal: Journal) {
        var index = QueueIndex()
        var salts = SplitMix(UInt64(disk.calls) + 1)
        let (journal, _) = try Journal.recover(disk, parameters: Self.parameters, random: { salts.bytes(16) }, into: &index)
        return (index, journal)
    }

    func content(_ record: MessageRecord, _ journal: Journal) -> [UInt8]? {
        switch record.content {
        case .inline: journal.table.content(record.content)
        case .file(let length, let check):
            disk.content(ContentFiles.path(record.id)).flatMap { $0.count == Int(length) && CRC32C.of($0) == check ? $0 : nil }
        }
    }

    /// The one message of the queue.
    func only() throws -> MessageRecord {
        let (index, _) = try recovered()
        #expect(index.messages.count == 1)
        return try #require(index.messages.values.first).record
    }
}

extension MessageRecord {
    var shownRecipients: [String] {
        var shown: [String] = []
        recipients.visit { shown.append("\($0.channel) \($0.state) \($0.address.text)") }
        return shown
    }

    var shownFailures: [String] {
        var shown: [String] = []
        failures.visit { shown.append("\(recipients.recipient(at: $0)?.address.text ?? "?"): \($1.text)") }
        return shown
    }
}

/// What a message is in our queue, by the states of qmail §4.1.
@Suite struct QueueImportTests {
    private let queue = QueueFolder()
    private let target = ImportedQueue(seed: 1)

    @Test func aRoutedMessageKeepsItsState() throws {
        queue.content(7)
        queue.write("info", 7, "Flist-owner-@origin-@[]\0", time: 1_600_000_000)
        queue.write("local", 7, "Dvirtual-a@here\0Tvirtual-b@here\0", time: 1_600_000_100)
        queue.write("remote", 7, "Tx@one\0Dy@two\0Tz@One\0", time: 1_600_000_400)
        queue.write("bounce", 7, "<a@here>:\nSorry, no mailbox here.\n\n<gone@three>:\n1.2.3.4 said no\n\n")
        let report = try target.run(queue)
        let record = try target.only()
        #expect(record.sender.text == "list-owner-@origin-@[]")
        #expect((record.birth, record.nextLocal, record.nextRemote) == (1_600_000_000, 1_600_000_100, 1_600_000_400))
        #expect((record.qp, record.uid) == (7, 7))
        // Those of one host stand together.
        #expect(
            record.shownRecipients == [
                "local delivered virtual-a@here", "local pending virtual-b@here", "remote pending x@one", "remote pending z@One",
                "remote delivered y@two", "remote failed a@here", "remote failed gone@three",
            ])
        #expect(record.shownFailures == ["a@here: Sorry, no mailbox here.\n", "gone@three: 1.2.3.4 said no\n"])
        #expect(report.counts.waitingLocal == 1)
        #expect(report.counts.waitingRemote == 2)
        #expect(report.counts.done == 2)
        #expect(report.counts.failed == 2)
        #expect(report.isComplete && report.findings.isEmpty)
    }

    @Test func aQueuedMessageIsRoutedAnewWhateverWasBegun() throws {
        queue.content(8)
        queue.write("todo", 8, "u12\0p34\0Fs@origin\0Ta@here\0Tb@there\0")
        queue.write("intd", 8, "u12\0p34\0Fs@origin\0Ta@here\0Tb@there\0")
        queue.write("info", 8, "Fs@or")
        queue.write("local", 8, "Ta@he")
        let report = try target.run(queue)
        let record = try target.only()
        #expect(record.shownRecipients == ["local pending a@here", "remote pending b@there"])
        #expect((record.birth, record.qp, record.uid) == (1_700_000_000, 34, 12))
        #expect(report.counts.unrouted == 2)
    }

    /// Of a recipient that qmail-send had rewritten the prepend is not known; of one that is rewritten here it is, as of a new message's.
    @Test func thePrependsOfAQueuedMessageAreNoted() throws {
        queue.content(8)
        queue.write("todo", 8, "u12\0p34\0Fs@origin\0Ta@virtual\0Tb@here\0")
        queue.content(9)
        queue.write("info", 9, "Fs@origin\0")
        queue.write("local", 9, "Tjoe-c@virtual\0")
        try target.run(queue)
        var noted: [String: Int?] = [:]
        for message in try target.recovered().index.messages.values {
            message.record.recipients.visit { noted[$0.address.text] = .some($0.prependedCount) }
        }
        #expect(noted == ["joe-a@virtual": 4, "b@here": 0, "joe-c@virtual": nil])
    }

    @Test func aRecipientWhoseAddressBecomesTooLongFails() throws {
        queue.content(8)
        queue.write("todo", 8, "u12\0p34\0Fs@origin\0Ta@long\0Tb@here\0")
        try target.run(queue)
        let record = try target.only()
        #expect(record.shownRecipients == ["local pending b@here", "remote failed a@long"])
        #expect(record.shownFailures.first?.contains("#5.1.3") == true)
    }

    /// A crash between the last outcome and the bounce: qmail §8.2.
    @Test func aMessageWhoseRecipientsAllEndedStillBounces() throws {
        queue.content(9)
        queue.write("info", 9, "Fs@origin\0")
        queue.write("bounce", 9, "<a@b>:\nno\n\n")
        try target.run(queue)
        let record = try target.only()
        #expect(record.recipients.isFinished)
        #expect(record.recipients.failedCount == 1)
    }

    /// qmail does not sync this file: a crash may leave zeros in it. A recipient that were no address would be missing in the bounce.
    @Test func whoFailedIsNamedWhateverACrashLeft() throws {
        queue.content(11)
        queue.write("info", 11, "Fs@origin\0")
        queue.write("bounce", 11, "<a\0@b>:\nno\n\n")
        try target.run(queue)
        #expect(try target.only().shownRecipients == ["remote failed a_@b"])
    }

    @Test func anAddressThatNoMailCanBeSentToFails() throws {
        queue.content(10)
        queue.write("info", 10, "Fs@origin\0")
        queue.write("remote", 10, "Ta\nb@c\0Tfine@c\0Dd\re@f\0")
        try target.run(queue)
        let record = try target.only()
        #expect(record.shownRecipients == ["remote pending fine@c", "remote delivered d_e@f", "remote failed a_b@c"])
        #expect(record.shownFailures.first?.contains("#5.1.3") == true)
    }

    /// qmail takes any byte but NUL into a sender too.
    @Test func aSenderThatIsNoAddressIsMadeOne() throws {
        queue.content(10)
        queue.write("info", 10, "Fa\nb@c\0")
        queue.write("remote", 10, "Tx@y\0")
        let report = try target.run(queue)
        #expect(try target.only().sender.text == "a_b@c")
        #expect(report.findings.map(\.text) == ["info/1/10: its sender holds a line break or is too long for an address: it goes out from a_b@c"])
        #expect(report.isComplete)
    }

    struct Left: Sendable, CustomStringConvertible {
        let description: String
        let files: [String]
        var kind: ImportReport.Finding.Kind?
        var text = ""
        var content = true
    }

    /// What qmail §4.1 calls S2 and S3, and what only damage leaves.
    @Test(arguments: [
        Left(description: "S2", files: [], kind: .skipped, text: "never accepted"),
        Left(description: "S3", files: ["intd/1=u1\0p2\0Fa@"], kind: .skipped, text: "never accepted"),
        Left(description: "envelope alone", files: ["intd/1=u1\0p2\0Fa@"], kind: .skipped, text: "never accepted", content: false),
        Left(description: "ended", files: ["info/1/1=Fa@b\0"], kind: .skipped, text: "ended", content: false),
        Left(
            description: "queued without content", files: ["todo/1=u1\0p2\0Fa@b\0Tc@d\0"], kind: .trouble, text: "content is missing", content: false),
        Left(
            description: "routed without content", files: ["info/1/1=Fa@b\0", "local/1/1=Tc@d\0"], kind: .trouble, text: "content is missing",
            content: false),
        Left(description: "recipients without sender", files: ["remote/1/1=Tc@d\0"], kind: .trouble, text: "remote/1/1 without info"),
        Left(description: "texts without sender", files: ["bounce/1=<a@b>:\nno\n\n"], kind: .trouble, text: "bounce/1 without info"),
        Left(description: "damaged todo", files: ["todo/1=u1\0p2\0Fa@b\0Tc@"], kind: .trouble, text: "todo/1: ends too early"),
        Left(description: "damaged info", files: ["info/1/1=Fa@b", "local/1/1=Tc@d\0"], kind: .trouble, text: "info/1/1: ends too early"),
        Left(description: "damaged local", files: ["info/1/1=Fa@b\0", "local/1/1=Tc@d\0X"], kind: .trouble, text: "local/1/1: ends too early"),
        Left(description: "a stranger", files: ["info/1/1x=F"], kind: .skipped, text: "no file of qmail's"),
    ])
    func whatIsLeftOutIsNamed(_ left: Left) throws {
        if left.content { queue.content(1) }
        for file in left.files {
            let parts = file.split(separator: "=", maxSplits: 1)
            let place = parts[0].split(separator: "/")
            queue.write(file: place.joined(separator: "/"), String(parts.count > 1 ? parts[1] : ""))
        }
        let report = try target.run(queue)
        #expect(try target.recovered().index.messages.isEmpty)
        #expect(report.findings.contains { $0.kind == left.kind && "\($0.subject): \($0.text)".contains(left.text) }, "\(report.findings)")
        #expect(report.isComplete == (left.kind != .trouble))
    }

    @Test func damageNextToAMessageDoesNotHoldItUp() throws {
        queue.content(1)
        queue.write("info", 1, "broken")
        queue.content(2)
        queue.write("info", 2, "Fs@origin\0")
        queue.write("remote", 2, "Ta@b\0")
        let report = try target.run(queue)
        #expect(try target.only().sender.text == "s@origin")
        #expect(report.counts.damaged == 1)
        #expect(report.counts.imported == 1)
        #expect(!report.isComplete)
    }

    /// A queue whose conf-split changed: qmail looks in one folder only, a person in all.
    @Test func aFileInAnotherFolderCountsUnlessTheRightOneIsThere() throws {
        queue.write("mess", 5, "wrong place", in: 0)
        queue.content(5)
        queue.write("info", 5, "Fs@origin\0", in: 1)
        queue.write("remote", 5, "Ta@b\0")
        let report = try target.run(queue)
        let (index, journal) = try target.recovered()
        let record = try #require(index.messages.values.first).record
        #expect(target.content(record, journal)?.text.contains("Subject: 5") == true)
        #expect(report.findings.map(\.subject) == ["queue/mess/0/5"])
    }

    @Test func aMessageTooLargeForTheLogGetsAFile() throws {
        queue.content(6, size: 100_000)
        queue.write("info", 6, "Fs@origin\0")
        queue.write("remote", 6, "Ta@b\0")
        try target.run(queue)
        let (index, journal) = try target.recovered()
        let record = try #require(index.messages.values.first).record
        if case .inline = record.content { Issue.record("it is in the log") }
        #expect(target.content(record, journal)?.count == 100_000 + "Received: (qmail 6 invoked by uid 7); x\nSubject: 6\n\n".count)
    }

    @Test func anEnvelopeTooLargeForASegmentStaysWhereItIs() throws {
        queue.content(6)
        queue.write("info", 6, "Fs@origin\0")
        queue.write("remote", 6, String(repeating: "Ta-long-enough-recipient@dest.example\0", count: 2000))
        let report = try target.run(queue)
        #expect(report.counts.damaged == 1)
        #expect(report.findings.first?.text.contains("queuesegmentbytes") == true)
    }

    /// A number is used again: qmail names messages by inode.
    @Test func theSameNumberWithAnotherContentIsAnotherMessage() throws {
        queue.content(5)
        queue.write("info", 5, "Fs@origin\0")
        queue.write("remote", 5, "Ta@b\0")
        try target.run(queue)
        #expect(try target.run(queue).counts.importedBefore == 1)
        queue.write("mess", 5, "another", time: 1_700_000_001)
        #expect(try target.run(queue).counts.imported == 1)
        #expect(try target.recovered().index.messages.count == 2)
    }
}
