import Bytes
import QmailQueueFormat
import Testing

/// The files of qmail's queue: qmail §4.1, §8.3.
@Suite struct QmailQueueFormatTests {
    // MARK: todo

    struct TodoCase: Sendable {
        let file: String
        var uid: UInt32?
        var pid: UInt64?
        var sender = ""
        var recipients: [String] = []
        var damage: QueueFileDamage?
    }

    @Test(arguments: [
        TodoCase(file: "u1000\0p4711\0Fa@b\0Tc@d\0Te@f\0", uid: 1000, pid: 4711, sender: "a@b", recipients: ["c@d", "e@f"]),
        TodoCase(file: "u1000\0p4711\0F\0", uid: 1000, pid: 4711),
        // QUEUE_EXTRA puts a recipient in front; addresses are any bytes.
        TodoCase(file: "u0\0p1\0F#@[]\0Tlog\0T\0Ta b\n@c\0", uid: 0, pid: 1, sender: "#@[]", recipients: ["log", "", "a b\n@c"]),
        TodoCase(file: "Fa@b\0Tc@d\0", sender: "a@b", recipients: ["c@d"]),
        TodoCase(file: "u99999999999\0pxyz\0Fa@b\0", sender: "a@b"),
        TodoCase(file: "", damage: .incomplete),
        TodoCase(file: "u1000\0p4711\0", damage: .incomplete),
        TodoCase(file: "u1000\0p4711\0Fa@b\0Tc@", damage: .incomplete),
        TodoCase(file: "Fa@b\0Fc@d\0", damage: .unknownRecord(letter: UInt8(ascii: "F"), offset: 5)),
        TodoCase(file: "u1\0Tc@d\0Fa@b\0", damage: .unknownRecord(letter: UInt8(ascii: "T"), offset: 3)),
        TodoCase(file: "Fa@b\0Dc@d\0", damage: .unknownRecord(letter: UInt8(ascii: "D"), offset: 5)),
        TodoCase(file: "Fa@b\0Tc@d\0\0", damage: .unknownRecord(letter: 0, offset: 10)),
    ])
    func todo(_ expected: TodoCase) {
        do throws(QueueFileDamage) {
            let found = try TodoFile(Array(expected.file.utf8))
            #expect(expected.damage == nil)
            #expect(found.uid == expected.uid)
            #expect(found.pid == expected.pid)
            #expect(found.sender == Array(expected.sender.utf8))
            #expect(found.recipients == expected.recipients.map { Array($0.utf8) })
        } catch {
            #expect(error == expected.damage)
        }
    }

    // MARK: info, local, remote

    @Test(
        arguments: [
            ("Fa@b\0", "a@b", nil), ("F\0", "", nil), ("Flist-@host-@[]\0", "list-@host-@[]", nil), ("", nil, .incomplete),
            ("Fa@b", nil, .incomplete),
            ("Ta@b\0", nil, .unknownRecord(letter: UInt8(ascii: "T"), offset: 0)),
            ("Fa@b\0Tc@d\0", nil, .unknownRecord(letter: UInt8(ascii: "T"), offset: 5)), ("\0\0", nil, .unknownRecord(letter: 0, offset: 0)),
        ] as [(String, String?, QueueFileDamage?)])
    func info(_ file: String, _ sender: String?, _ damage: QueueFileDamage?) {
        do throws(QueueFileDamage) {
            #expect(try InfoFile(Array(file.utf8)).sender.text == sender)
        } catch {
            #expect(error == damage)
        }
    }

    @Test(
        arguments: [
            ("Ta@b\0Dc@d\0Te@f\0", ["T a@b", "D c@d", "T e@f"], nil), ("", [], nil), ("T\0", ["T "], nil), ("Ta@b\0D", nil, .incomplete),
            ("Ta@b\0Fc@d\0", nil, .unknownRecord(letter: UInt8(ascii: "F"), offset: 5)),
            ("Ta@b\0\0\0\0", nil, .unknownRecord(letter: 0, offset: 5)),
        ] as [(String, [String]?, QueueFileDamage?)])
    func channel(_ file: String, _ recipients: [String]?, _ damage: QueueFileDamage?) {
        do throws(QueueFileDamage) {
            let found = try ChannelFile(Array(file.utf8)).recipients.map { "\($0.isDone ? "D" : "T") \($0.address.text)" }
            #expect(found == recipients)
        } catch {
            #expect(error == damage)
        }
    }

    @Test(arguments: [
        (QueueFileDamage.incomplete, "ends too early"), (.unknownRecord(letter: 0x58, offset: 7), "unknown record type X at byte 7"),
        (.unknownRecord(letter: 0, offset: 10), "unknown record type \\0 at byte 10"),
    ])
    func damageIsNamed(_ damage: QueueFileDamage, _ text: String) { #expect(damage.description == text) }

    // MARK: bounce

    @Test(
        arguments: [
            // What qmail-send writes: `<ADDR>:`, report, empty line.
            ("<a@b>:\nno.\n\n", ["a@b": "no.\n"], ""),
            (
                "<a@b>:\n1.2.3.4 failed.\nRemote host said: 550 no\n\n<c@d>:\nno.\n\n",
                ["a@b": "1.2.3.4 failed.\nRemote host said: 550 no\n", "c@d": "no.\n"], ""
            ),
            // An empty report; one that ended in an empty line; one that began with one.
            ("<a@b>:\n\n<c@d>:\nno.\n\n\n<e@f>:\n/no.\n\n", ["a@b": "", "c@d": "no.\n", "e@f": "/no.\n"], ""),
            // Lines that look like names of recipients within a text, and addresses that hold anything.
            ("<a>b>:@c>:\nsaid:\n<x@y>:\nno\n\n", ["a>b>:@c": "said:\n<x@y>:\nno\n"], ""), ("<>:\nno\n\n", ["": "no\n"], ""),
            // Cut off by a crash.
            ("<a@b>:\nno", ["a@b": "no"], ""), ("<a@b>:", ["a@b": ""], ""), ("<a@", [:], "<a@"), ("", [:], ""), ("\n\n\n", [:], ""),
            // From elsewhere: nothing is lost.
            ("sorry\n\n<a@b>:\nno\n\nmore\n\n", ["a@b": "no\n\nmore\n"], "sorry\n"), ("\0\0\0", [:], "\0\0\0"),
        ] as [(String, [String: String], String)])
    func bounce(_ file: String, _ paragraphs: [String: String], _ stray: String) {
        let found = BounceFile(Array(file.utf8))
        #expect(Dictionary(found.paragraphs.map { ($0.recipient.text, $0.text.text) }) { $1 } == paragraphs)
        #expect(found.paragraphs.count == paragraphs.count)
        #expect(found.strayText.text == stray)
    }

    /// Any bytes: nothing stops, and of a file of failures no byte but line ends is lost.
    @Test(arguments: 0..<2000)
    func randomFiles(_ seed: Int) {
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1
        let alphabet = Array("<>:@aFTDup1\0\n\n".utf8)
        let bytes = (0..<seed % 60).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return alphabet[Int(state >> 33) % alphabet.count]
        }
        _ = try? TodoFile(bytes)
        _ = try? InfoFile(bytes)
        _ = try? ChannelFile(bytes)
        _ = ReceivedLine(content: bytes)
        let file = BounceFile(bytes)
        let kept = file.strayText + file.paragraphs.flatMap { Array("<".utf8) + $0.recipient + Array(">:".utf8) + $0.text }
        #expect(kept.filter { $0 != ASCII.lf } == bytes.filter { $0 != ASCII.lf }, "seed \(seed)")
    }

    // MARK: Received

    @Test(
        arguments: [
            ("Received: (qmail 4711 invoked by uid 1000); 24 Nov 2026 07:00:48 -0000\nx", 4711, 1000),
            ("Received: (qmail 1 invoked from network); 24 Nov 2026 07:00:48 -0000\n", 1, nil),
            ("Received: (qmail 12 invoked for bounce); x", 12, nil),
            ("Received: from elsewhere\n", nil, nil), ("Received: (qmail x invoked by uid 3)", nil, nil), ("", nil, nil),
            ("Received: (qmail 5 invoked by uid 99999999999); x", 5, nil),
        ] as [(String, UInt64?, UInt32?)])
    func received(_ content: String, _ pid: UInt64?, _ uid: UInt32?) {
        let line = ReceivedLine(content: Array(content.utf8))
        #expect(line?.pid == pid)
        #expect(line?.uid == uid)
    }
}
