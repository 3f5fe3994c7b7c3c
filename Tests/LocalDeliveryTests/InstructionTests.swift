import Addresses
import Frames
import Glibc
import LocalDelivery
import MailboxStorage
import Posix
import TemporaryFolder
import Testing

/// spec-qmail §7.4 to §7.8: programs, mboxes, forwards. Serialised, because a stand-in for qmail-queue is named in the environment.
@Suite(.serialized) struct InstructionTests {
    let home = TemporaryFolder()
    let delivery = LocalDelivery()

    init() { signal(SIGPIPE, SIG_IGN) }

    func deliver(
        _ lines: String, _ content: String = "Subject: x\n\nbody\n", from sender: String = "s@y.example", ext: String? = nil
    ) throws -> String {
        home.write(ext.map { ".qmail-\($0)" } ?? ".qmail", lines)
        let request = WorkerRequest(
            slot: 1, user: bytes("joe")[...], home: bytes(home.path)[...], localPart: bytes(ext.map { "joe-\($0)" } ?? "joe")[...],
            dash: bytes(ext == nil ? "" : "-")[...], ext: bytes(ext ?? "")[...], domain: bytes("a.b.x.example")[...],
            sender: try #require(Address(bytes(sender))), settings: DeliverySettings(defaultDelivery: bytes("./Maildir/\n")[...], programSeconds: 0))
        let report = delivery.deliver(request, home.message(content))
        return String(decoding: [report.outcome.rawValue] + report.text, as: UTF8.self)
    }

    @Test(arguments: [
        ("0", "Kdid 0+0+2\n"), ("99", "Kdid 0+0+1\n"), ("100", "D"), ("64", "D"), ("65", "D"), ("70", "D"), ("76", "D"), ("77", "D"), ("78", "D"),
        ("112", "D"), ("1", "Z"), ("111", "Z"), ("71", "Z"), ("127", "Z"),
    ])
    func exitCodesMean(_ code: String, _ report: String) throws {
        #expect(try deliver("|exit \(code)\n|true\n") == report)
    }

    @Test func whatProgramsSayIsTheReport() throws {
        #expect(try deliver("|echo out; echo err >&2; exit 100\n") == "Dout\nerr\n")
        #expect(try deliver("|echo one\n|echo two\n") == "Kone\ntwo\ndid 0+0+2\n")
        #expect(try deliver("|kill -9 $$\n") == "ZAack, child crashed. (#4.3.0)\n")
        #expect(try deliver("|printf 'a\\0b'\n") == "Ka")
        #expect(
            try deliver("|head -c 5000 /dev/zero | tr '\\0' x\n") == "K" + String(repeating: "x", count: 2966) + "\nError report too long, sorry.\n")
    }

    @Test func eachProgramReadsTheMessageFromItsBeginning() throws {
        #expect(try deliver("|cat >one\n|cat >two\n|head -1\n", "Subject: x\n\nbody") == "KSubject: x\ndid 0+0+3\n")
        #expect(home.read("one") == "Subject: x\n\nbody")
        #expect(home.read("two") == "Subject: x\n\nbody")
    }

    @Test func theEnvironmentIsWhatQmailSays() throws {
        setenv("BASH_ENV", "/nonexistent", 1)
        setenv("LD_PRELOAD_NOT", "x", 1)
        #expect(try deliver("|env >environment; pwd >cwd\n", from: "a b@y.example", ext: "list-request-more-x").hasPrefix("K"))
        var variables: [Substring: Substring] = [:]
        for line in home.read("environment").split(separator: "\n") {
            if let equals = line.firstIndex(of: "=") { variables[line[..<equals]] = line[line.index(after: equals)...] }
        }
        let expected: [Substring: Substring] = [
            "USER": "joe", "HOME": Substring(home.path), "LOCAL": "joe-list-request-more-x", "HOST": "a.b.x.example",
            "RECIPIENT": "joe-list-request-more-x@a.b.x.example", "SENDER": "a b@y.example", "NEWSENDER": "a b@y.example",
            "EXT": "list-request-more-x", "EXT2": "request-more-x", "EXT3": "more-x", "EXT4": "x", "HOST2": "a.b.x", "HOST3": "a.b", "HOST4": "a",
            "DTLINE": "Delivered-To: joe-list-request-more-x@a.b.x.example", "RPLINE": "Return-Path: <\"a b\"@y.example>",
        ]
        for (name, value) in expected { #expect(variables[name] == value, "\(name)") }
        #expect(variables["UFLINE"]?.hasPrefix("From a-b@y.example ") == true)
        #expect(variables["DEFAULT"] == nil)
        #expect(variables["BASH_ENV"] == nil)
        #expect(variables["LD_PRELOAD_NOT"] == nil)
        #expect(home.read("cwd") == home.path + "\n")
    }

    /// hardening.md "SHELL".
    @Test(arguments: ["() { :;}; touch hit; x@y", "a;touch hit;@y", "$(touch hit)@y", "`touch hit`@y", "|touch hit@y", "a'\"\u{1}@y"])
    func noAddressReachesTheShell(_ sender: String) throws {
        #expect(try deliver("|printf %s \"$SENDER\" >sender\n", from: sender) == "Kdid 0+0+1\n")
        #expect(home.names("").contains("hit") == false)
        let shown = sender.hasPrefix("()") ? "_" + sender.dropFirst() : sender.replacing("\u{1}", with: "_")
        #expect(home.read("sender") == shown)
    }

    @Test(arguments: [
        ("body\n", "body\n\n"), ("partial", "partial\n\n"), ("", "\n"), ("From a\n", ">From a\n\n"),
        (">From a\n>>From b\n", ">>From a\n>>>From b\n\n"),
        ("From\nFrom: x\nxFrom y\n> From z\n", "From\nFrom: x\nxFrom y\n> From z\n\n"), ("Fro", "Fro\n\n"), ("a\nFrom ", "a\n>From \n\n"),
        (">", ">\n\n"),
        ("\n\n", "\n\n\n"),
    ])
    func mboxesQuote(_ content: String, _ stored: String) throws {
        #expect(try deliver("./Mailbox\n", content) == "Kdid 1+0+0\n")
        #expect(home.read("Mailbox").split(separator: "\n", maxSplits: 3, omittingEmptySubsequences: false).last.map(String.init) == stored)
        for offset in 0...content.utf8.count {
            var quoting = MboxQuoting()
            let pieces = quoting.quote(bytes(content)[..<offset]) + quoting.quote(bytes(content)[offset...]) + quoting.finish()
            #expect(pieces == bytes(stored), "split at \(offset)")
        }
    }

    @Test func mboxesGrow() throws {
        #expect(try deliver("./Mailbox\n./Mailbox\n", from: "") == "Kdid 2+0+0\n")
        let text = home.read("Mailbox")
        #expect(text.hasPrefix("From MAILER-DAEMON "))
        #expect(text.split(separator: "\n").filter { $0.hasPrefix("From ") }.count == 2)
        #expect(text.contains("\nReturn-Path: <>\nDelivered-To: joe@a.b.x.example\nSubject: x\n\nbody\n\nFrom MAILER-DAEMON "))
    }

    /// hardening.md "LINKS".
    @Test func mboxesAreRegularFilesOfOurs() throws {
        home.write("target", "")
        symlink("target", "\(home.path)/link")
        link("\(home.path)/target", "\(home.path)/hard")
        mkfifo("\(home.path)/fifo", 0o600)
        #expect(try deliver("./link\n") == "ZUnable to open ./link: symbolic link loop. (#4.2.1)\n")
        #expect(try deliver("./hard\n") == "ZUnable to open ./hard: permission denied. (#4.2.1)\n")
        #expect(try deliver("./fifo\n") == "ZUnable to open ./fifo: device not configured. (#4.2.1)\n")
        #expect(try deliver("./none/x\n") == "ZUnable to open ./none/x: file does not exist. (#4.2.1)\n")
        #expect(home.read("target") == "")
    }

    func queue(_ script: String) {
        home.write("queue", "#!/bin/sh\n" + script)
        chmod("\(home.path)/queue", 0o755)
        setenv("QMAILQUEUE", "\(home.path)/queue", 1)
        setenv("QMAILHOME", home.path, 1)
    }

    @Test func forwardsLeaveTogether() throws {
        queue("cat >content; tr '\\0' '|' <&1 >envelope\n")
        let report = try deliver("&a@b.example\n|exit 99\nc@d.example\n")
        #expect(report.hasPrefix("Kdid 0+1+1\nqp "))
        #expect(home.read("content") == "Delivered-To: joe@a.b.x.example\nSubject: x\n\nbody\n")
        #expect(home.read("envelope") == "Fs@y.example|Ta@b.example||")
        let large = String(repeating: "0123456789abcde\n", count: 20_000)
        #expect(try deliver("a@b.example\n&local\n", large).hasPrefix("Kdid 0+2+0\nqp "))
        #expect(home.read("content") == "Delivered-To: joe@a.b.x.example\n" + large)
        #expect(home.read("envelope") == "Fs@y.example|Ta@b.example|Tlocal||")
    }

    @Test(arguments: [
        ("exit 31", "DUnable to forward message: mail server permanently rejected message (#5.3.0).\n"),
        ("cat >/dev/null; exit 53", "ZUnable to forward message: qq write error or disk full (#4.3.0).\n"),
        ("exit 1", "ZUnable to forward message: qq temporary problem (#4.3.0).\n"),
        ("exit 12", "DUnable to forward message: qq permanent problem (#5.3.0).\n"),
        ("kill -9 $$", "ZUnable to forward message: qq crashed (#4.3.0).\n"),
    ])
    func theQueuesRefusalIsTheReport(_ script: String, _ report: String) throws {
        queue(script + "\n")
        #expect(try deliver("&a@b.example\n") == report)
    }

    @Test func withoutQueueForwardsWait() throws {
        setenv("QMAILQUEUE", "/nonexistent/queue", 1)
        setenv("QMAILHOME", home.path, 1)
        #expect(try deliver("&a@b.example\n") == "ZUnable to forward message: unable to exec qq (#4.3.0).\n")
        #expect(try deliver("&a@b.example\r\n") == "ZUh-oh: .qmail has an address with a control character. (#4.3.5)\n")
        #expect(
            try deliver("&\(String(repeating: "x", count: 1003))\n") == "DUnable to forward message: envelope address too long for qq (#5.1.3).\n")
    }

    @Test(arguments: [
        ("s@y.example", false, "joe-list-owner@a.b.x.example"), ("s@y.example", true, "joe-list-owner-@a.b.x.example-@[]"), ("", false, ""),
        ("#@[]", true, "#@[]"),
    ])
    func ownersGetTheBouncesOfLists(_ sender: String, _ verp: Bool, _ new: String) throws {
        queue("cat >/dev/null; tr '\\0' '|' <&1 >envelope\n")
        home.write(".qmail-list-owner", "&o@x.example\n")
        if verp { home.write(".qmail-list-owner-default", "&o@x.example\n") }
        #expect(try deliver("&a@b.example\n", from: sender, ext: "list").hasPrefix("Kdid 0+1+0\nqp "))
        #expect(home.read("envelope") == "F\(new)|Ta@b.example||")
    }
}
