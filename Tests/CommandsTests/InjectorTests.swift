import Frames
import Testing

/// The real program against a queue that is played (hardening.md 1.3 INJECTOR).
@Suite(.enabled(if: QmailRun.program != nil)) struct InjectorTests {
    private func queue(
        _ message: [UInt8]?, _ envelope: String, at queue: FakeQueue, descriptorLimit: UInt64 = 0, environment: [String: String] = [:]
    ) throws -> Int32 {
        let home = ["QMAILHOME": queue.home].merging(environment) { $1 }
        return try QmailRun.run(
            ["qmail-queue"], input: message, envelope: Array(envelope.utf8), environment: home, descriptorLimit: descriptorLimit
        ).code
    }

    @Test func aMessageIsHandedOverAsItIs() throws {
        let fake = try FakeQueue()
        defer { fake.stop() }
        let content: [UInt8] = [0xFF, 0, 0x0D, 0x41]
        #expect(try queue(content, "Fs@x\0Ta@y\0Tb@z\0\0", at: fake) == 0)
        #expect(fake.received == [FakeQueue.Mail(content: content, sender: "s@x", recipients: ["a@y", "b@z"])])
    }

    @Test func largeMessagesAndListsGoInManyFrames() throws {
        let fake = try FakeQueue()
        defer { fake.stop() }
        let content = [UInt8](repeating: 0x78, count: 3_000_000)
        let recipients = (0..<20_000).map { "user\($0)@example.org" }
        #expect(try queue(content, "F\0" + recipients.map { "T\($0)\0" }.joined() + "\0", at: fake) == 0)
        #expect(fake.received == [FakeQueue.Mail(content: content, sender: "", recipients: recipients)])
    }

    /// spec-qmail §3.2; nothing of a refused message may reach the queue.
    @Test(
        arguments: [
            ("F", 54), ("", 54), ("Fs\0Ta", 54), ("Fs\0Xr\0\0", 91), ("\0\0", 91), ("Fs\0T" + String(repeating: "r", count: 1003) + "\0\0", 11),
            ("Fs\0Ta\nb\0\0", 31),
        ] as [(String, Int32)])
    func badEnvelopes(_ envelope: String, _ code: Int32) throws {
        let fake = try FakeQueue()
        defer { fake.stop() }
        #expect(try queue(Array("x".utf8), envelope, at: fake) == code)
        #expect(fake.received.isEmpty)
    }

    @Test(
        arguments: [
            (.refuse(.temporarilyRejected), 71), (.refuse(.permanentlyRejected), 31), (.refuse(.writeErrorOrDiskFull), 53), (.vanish, 53),
            (.garbage, 91),
        ] as [(FakeQueue.Answer, Int32)])
    func whatTheQueueAnswers(_ answer: FakeQueue.Answer, _ code: Int32) throws {
        let fake = try FakeQueue(answer)
        defer { fake.stop() }
        #expect(try queue(Array("x".utf8), "Fs\0Tr\0\0", at: fake) == code)
    }

    @Test func anUnreadableMessageIsNone() throws {
        let fake = try FakeQueue()
        defer { fake.stop() }
        #expect(try queue(nil, "Fs\0Tr\0\0", at: fake) == 54)
        #expect(fake.received.isEmpty)
    }

    @Test func noHomeIsTroubleInHome() throws {
        let fake = try FakeQueue()
        defer { fake.stop() }
        #expect(try queue([], "Fs\0Tr\0\0", at: fake, environment: ["QMAILHOME": "/nonexistent"]) == 61)
    }

    @Test func aMegabyteOfEnvironmentIsNoTrouble() throws {
        let fake = try FakeQueue()
        defer { fake.stop() }
        let much = Dictionary(uniqueKeysWithValues: (0..<10).map { ("V\($0)", String(repeating: "x", count: 100_000)) })
        #expect(try queue(Array("x".utf8), "Fs\0Tr\0\0", at: fake, environment: much) == 0)
    }

    @Test func fourDescriptorsAreEnough() throws {
        let fake = try FakeQueue()
        defer { fake.stop() }
        #expect(try queue(Array("x".utf8), "Fs\0Tr\0\0", at: fake, descriptorLimit: 4) == 0)
    }

    @Test func sendmailReadsTheHeader() throws {
        let fake = try FakeQueue()
        defer { fake.stop() }
        let environment = ["QMAILHOME": fake.home, "USER": "joe", "QMAILDEFAULTHOST": "h.example"]
        let result = try QmailRun.run(
            ["sendmail", "-t", "-i"], input: Array("To: a@b.c\nBcc: z@y.x\nDate: d\nMessage-ID: <m>\n\nhi".utf8), environment: environment)
        #expect(result == QmailRun.Result(code: 0))
        let expected = "From: joe@h.example\nTo: a@b.c\nDate: d\nMessage-ID: <m>\n\nhi\n"
        #expect(fake.received == [FakeQueue.Mail(content: Array(expected.utf8), sender: "joe@h.example", recipients: ["a@b.c", "z@y.x"])])
    }

    @Test(
        arguments: [
            (.permanentlyRejected, 100, "mail server permanently rejected message (#5.3.0)"),
            (.temporarilyRejected, 111, "mail server temporarily rejected message (#4.3.0)"),
        ] as [(QueueRefusal, Int32, String)])
    func injectSaysWhatTheQueueSaid(_ refusal: QueueRefusal, _ code: Int32, _ text: String) throws {
        let fake = try FakeQueue(.refuse(refusal))
        defer { fake.stop() }
        let result = try QmailRun.run(["qmail-inject", "a@b.c"], input: Array("\nx\n".utf8), environment: ["QMAILHOME": fake.home])
        #expect(result == QmailRun.Result(code: code, output: "qmail-inject: fatal: \(text)\n"))
    }

    /// spec-qmail §3.3: the program reads the message on 0 and the envelope on 1, in the qmail home; the queue is not asked.
    @Test func aProgramInPlaceOfTheQueueIsRun() throws {
        let fake = try FakeQueue()
        defer { fake.stop() }
        try fake.makeProgram("filter", "#!/bin/sh\ncat >message && cat <&1 >envelope && echo Zcome back later >&6 && exit 82\n")
        let environment = ["QMAILHOME": fake.home, "QMAILQUEUE": "./filter", "USER": "joe", "PATH": "/usr/bin:/bin"]
        let result = try QmailRun.run(
            ["qmail-inject", "-fs@x.y", "a@b.c", "d@e.f"], input: Array("To: t@t.t\nDate: d\nMessage-ID: m\nFrom: f@f.f\n\nhi\n".utf8),
            environment: environment)
        #expect(result == QmailRun.Result(code: 111, output: "qmail-inject: fatal: come back later\n"))
        #expect(try fake.take("message") == Array("To: t@t.t\nDate: d\nMessage-ID: m\nFrom: f@f.f\n\nhi\n".utf8))
        #expect(try fake.take("envelope") == Array("Fs@x.y\0Ta@b.c\0Td@e.f\0\0".utf8))
        #expect(fake.received.isEmpty)
    }

    @Test(arguments: [("/bin/false", "qq temporary problem (#4.3.0)"), ("/nonexistent", "unable to exec qq (#4.3.0)")])
    func aProgramThatFailsIsHeard(_ program: String, _ text: String) throws {
        let fake = try FakeQueue()
        defer { fake.stop() }
        let environment = ["QMAILHOME": fake.home, "QMAILQUEUE": program]
        let result = try QmailRun.run(["qmail-inject", "a@b.c"], input: Array("\n".utf8), environment: environment)
        #expect(result == QmailRun.Result(code: 111, output: "qmail-inject: fatal: \(text)\n"))
    }

    @Test func helpComesFromTheTable() throws {
        let result = try QmailRun.run(["qmail", "qmail-queue", "--help"], input: [], environment: [:])
        #expect(result.code == 0)
        #expect(result.output.hasPrefix("qmail-queue: queue a mail message for delivery\n\nusage: qmail-queue\n"))
        #expect(try QmailRun.run(["qmail"], input: [], environment: [:]).code == 100)
        #expect(try QmailRun.run(["qmail", "no-such"], input: [], environment: [:]).code == 100)
    }
}
