import Addresses
import Frames
import Glibc
import LocalDelivery
import MailboxStorage
import Posix
import TemporaryFolder
import Testing

/// spec-qmail §7, with real files.
@Suite struct LocalDeliveryTests {
    let home = TemporaryFolder()
    let delivery = LocalDelivery()

    init() {
        for folder in ["Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"] { home.makeFolder(folder) }
    }

    func deliver(
        _ content: String = "Subject: x\n\nbody\n", dash: String = "", ext: String = "", to recipient: String = "joe",
        default lines: String = "./Maildir/\n",
        home path: String? = nil
    ) throws -> String {
        let request = WorkerRequest(
            slot: 1, user: bytes("joe")[...], home: bytes(path ?? home.path)[...], localPart: bytes(recipient)[...], dash: bytes(dash)[...],
            ext: bytes(ext)[...], domain: bytes("x.example")[...], sender: try #require(Address(bytes("s@y.example"))),
            settings: DeliverySettings(defaultDelivery: bytes(lines)[...], programSeconds: 0))
        let report = delivery.deliver(request, home.message(content))
        return String(decoding: [report.outcome.rawValue] + report.text, as: UTF8.self)
    }

    func arrived(_ maildir: String = "Maildir") -> [String] {
        home.names("\(maildir)/new").map { home.read("\(maildir)/new/\($0)") }
    }

    @Test(arguments: ["", "Subject: x\n\nbody\n", "no newline at the end", "nul \u{0} and \r alone\r\n.\n\nFrom here\n"])
    func theMessageArrivesAsItIs(_ content: String) throws {
        #expect(try deliver(content) == "Kdid 1+0+0\n")
        #expect(arrived() == ["Return-Path: <s@y.example>\nDelivered-To: joe@x.example\n" + content])
        #expect(home.names("Maildir/tmp") == [])
    }

    @Test(arguments: [MessageContent.headBytes - 1, MessageContent.headBytes, MessageContent.headBytes + 1, 1_000_000])
    func sizeDoesNotMatter(_ size: Int) throws {
        let content = String(repeating: "0123456789abcde\n", count: size / 16) + String(repeating: "x", count: size % 16)
        #expect(try deliver(content) == "Kdid 1+0+0\n")
        #expect(arrived() == ["Return-Path: <s@y.example>\nDelivered-To: joe@x.example\n" + content])
    }

    @Test func aLoopFails() throws {
        let text = "DThis message is looping: it already has my Delivered-To line. (#5.4.6)\n"
        #expect(try deliver("Delivered-To: joe@x.example\n\n") == text)
        #expect(try deliver(String(repeating: "X-Filler: 0123456789abcdef\n", count: 5000) + "Delivered-To: joe@x.example\n\n") == text)
        #expect(try deliver("Delivered-To: joe@other.example\n\n") == "Kdid 1+0+0\n")
    }

    @Test func theUsersOwnInstructionsCount() throws {
        for folder in ["Other", "Other/tmp", "Other/new"] { home.makeFolder(folder) }
        home.write(".qmail", "# mine\n./Other/\n./Maildir/\n")
        #expect(try deliver() == "Kdid 2+0+0\n")
        #expect(arrived("Other").count == 1)
        home.write(".qmail", "#\n")
        #expect(try deliver() == "Kdid 0+0+0\n")
        home.write(".qmail", "")
        #expect(try deliver() == "Kdid 1+0+0\n")
        unlink("\(home.path)/.qmail")
        home.write(".qmaildefault", "./Other/\n")
        #expect(try deliver() == "Kdid 1+0+0\n")
        #expect(arrived("Other").count == 2)
    }

    @Test(arguments: [("foo-bar", 3), ("foo-other", 2), ("foo", 1), ("FOO.x", 1)])
    func extensionsFindTheirFile(_ ext: String, _ maildirs: Int) throws {
        home.write(".qmail-foo-bar", "./Maildir/\n./Maildir/\n./Maildir/\n")
        home.write(".qmail-foo-default", "./Maildir/\n./Maildir/\n")
        home.write(".qmail-default", "./Maildir/\n")
        #expect(try deliver(dash: "-", ext: ext) == "Kdid \(maildirs)+0+0\n")
        #expect(arrived().count == maildirs)
    }

    /// hardening.md "PATH".
    @Test(arguments: [
        "..", "../x", "a/../../b", "/etc/passwd", "../../../../etc/passwd", "default", "-", "／", "a\u{0}b", "", ".", "x/",
        String(repeating: "y", count: 300),
        String(repeating: "z/", count: 400),
    ])
    func noExtensionLeavesTheHome(_ ext: String) throws {
        #expect(try deliver(dash: "-", ext: ext) == "DSorry, no mailbox here by that name. (#5.1.1)\n")
        home.write(".qmail-default", "./Maildir/\n")
        #expect(try deliver(dash: "-", ext: ext) == "Kdid 1+0+0\n")
    }

    @Test(
        arguments: [
            (0o777, "Uh-oh: home directory is writable. (#4.7.0)\n"),
            (0o1755, "Home directory is sticky: user is editing his .qmail file. (#4.2.1)\n"),
            (0o775, nil), (0o700, nil),
        ] as [(mode_t, String?)])
    func theHomesModeCounts(_ mode: mode_t, _ text: String?) throws {
        chmod(home.path, mode)
        #expect(try deliver() == (text.map { "Z" + $0 } ?? "Kdid 1+0+0\n"))
    }

    @Test func theFilesModeCounts() throws {
        home.write(".qmail", "./Maildir/\n")
        chmod("\(home.path)/.qmail", 0o666)
        #expect(try deliver() == "ZUh-oh: .qmail file is writable. (#4.7.0)\n")
        chmod("\(home.path)/.qmail", 0o744)
        #expect(try deliver() == "ZUh-oh: .qmail has file delivery but has x bit set. (#4.7.0)\n")
        home.write(".qmail", "|true\n")
        #expect(try deliver() == "ZUh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)\n")
        home.write(".qmail", "\n./Maildir/\n")
        #expect(try deliver() == "ZUh-oh: first line of .qmail file is blank. (#4.2.1)\n")
        unlink("\(home.path)/.qmail")
        mkfifo("\(home.path)/.qmail", 0o600)
        #expect(try deliver() == "Kdid 1+0+0\n")
    }

    @Test func anEmptyDefaultIsABlankLine() throws {
        #expect(try deliver(default: "") == "ZUh-oh: first line of .qmail file is blank. (#4.2.1)\n")
        #expect(try deliver(home: "/nonexistent") == "ZUnable to switch to /nonexistent: file does not exist. (#4.3.0)\n")
    }

    @Test func withoutMaildirMailWaits() throws {
        let text = "ZUnable to chdir to maildir. (#4.2.1)\n"
        #expect(try deliver(default: "./Missing/\n") == text)
        home.makeFolder("Half")
        home.makeFolder("Half/tmp")
        let half = "ZTemporary error on maildir delivery. (#4.3.0)\n"
        #expect(try deliver(default: "./Half/\n") == half)
        // A link that the user made leads to the Maildir; a link inside one does not.
        symlink("Maildir", "\(home.path)/Link")
        #expect(try deliver(default: "./Link/\n") == "Kdid 1+0+0\n")
        symlink("../Maildir/new", "\(home.path)/Half/new")
        #expect(try deliver(default: "./Half/\n") == half)
    }

    @Test func aMaildirOfAnotherIsNone() throws {
        guard geteuid() == 0 else { return }
        chown("\(home.path)/Maildir/new", 12345, 12345)
        #expect(try deliver() == "ZUnable to chdir to maildir. (#4.2.1)\n")
    }

    @Test func aMaildirThatWasReplacedIsOpenedAnew() throws {
        #expect(try deliver() == "Kdid 1+0+0\n")
        rename("\(home.path)/Maildir", "\(home.path)/Old")
        #expect(try deliver() == "ZUnable to chdir to maildir. (#4.2.1)\n")
        for folder in ["Maildir", "Maildir/tmp", "Maildir/new"] { home.makeFolder(folder) }
        #expect(try deliver() == "Kdid 1+0+0\n")
        #expect(arrived().count == 1)
        #expect(arrived("Old").count == 1)
    }

    @Test func leftoversOfDeadDeliveriesGo() throws {
        home.write("Maildir/tmp/old", "x")
        home.write("Maildir/tmp/young", "x")
        var times = [timespec(tv_sec: time(nil) - 37 * 3600, tv_nsec: 0), timespec(tv_sec: time(nil) - 37 * 3600, tv_nsec: 0)]
        utimensat(AT_FDCWD, "\(home.path)/Maildir/tmp/old", &times, 0)
        #expect(try deliver() == "Kdid 1+0+0\n")
        #expect(home.names("Maildir/tmp") == ["young"])
    }

    @Test func manyThreadsDeliverAtOnce() throws {
        let failures = Monitor(0)
        let running = Monitor(8)
        let request = WorkerRequest(
            slot: 1, user: bytes("joe")[...], home: bytes(home.path)[...], localPart: bytes("joe")[...], dash: [], ext: [], domain: bytes("x")[...],
            sender: .null, settings: DeliverySettings(defaultDelivery: bytes("./Maildir/\n")[...], programSeconds: 0))
        let source = home.path
        home.write("message", "Subject: x\n\nbody\n")
        for number in 0..<8 {
            _ = Thread("test-\(number)") { [delivery] in
                for _ in 0..<50 {
                    let file = open("\(source)/message", O_RDONLY | O_CLOEXEC)
                    let report = delivery.deliver(request, FileDescriptor(owning: file))
                    if report.outcome != .delivered { failures.with { $0 += 1 } }
                }
                running.with { $0 -= 1 }
                running.wakeAll()
            }
        }
        running.wait { $0 == 0 ? () : nil }
        #expect(failures.with { $0 } == 0)
        #expect(home.names("Maildir/new").count == 400)
    }
}

@Suite struct UniqueNameTests {
    @Test func namesAreUniqueUnderThreads() {
        let names = Monitor<Set<[UInt8]>>([])
        let running = Monitor(8)
        for number in 0..<8 {
            _ = Thread("names-\(number)") {
                let own = (0..<1000).map { _ in UniqueName.next() }
                names.with { $0.formUnion(own) }
                running.with { $0 -= 1 }
                running.wakeAll()
            }
        }
        running.wait { $0 == 0 ? () : nil }
        #expect(names.with { $0.count } == 8000)
        #expect(names.with { names in names.allSatisfy { !$0.contains(0x2F) && !$0.contains(0x3A) } })
    }

    @Test(arguments: [("mail.example", "mail.example"), ("a/b:c", "a\\057b\\072c")])
    func theHostIsEscaped(_ host: String, _ escaped: String) {
        #expect(UniqueName.escaped(bytes(host)) == bytes(escaped))
    }
}
