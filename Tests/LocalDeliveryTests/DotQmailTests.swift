import Addresses
import LocalDelivery
import Testing

/// spec-qmail §7.4.
@Suite struct DotQmailTests {
    @Test(
        arguments: [
            ("./Maildir/\n", [.maildir(bytes("./Maildir/"))]),
            ("./Maildir/", [.maildir(bytes("./Maildir/"))]),
            ("./Mailbox\n", [.mbox(bytes("./Mailbox"))]),
            ("/var/mail/joe \t\n", [.mbox(bytes("/var/mail/joe"))]),
            ("/\n", [.maildir(bytes("/"))]),
            (".\n", [.mbox(bytes("."))]),
            ("|exit 99\n", [.program(bytes("exit 99"))]),
            ("| sp \n", [.program(bytes(" sp"))]),
            ("&a@b.example\n", [.forward(bytes("a@b.example"))]),
            ("& a@b\n", [.forward(bytes(" a@b"))]),
            ("a@b.example\n", [.forward(bytes("a@b.example"))]),
            (" a@b\n", [.forward(bytes(" a@b"))]),
            ("a@b\r\n", [.forward(bytes("a@b\r"))]),
            ("# only a comment\n", []),
            ("#\n\n   \n./a/\n", [.maildir(bytes("./a/"))]),
            ("+unknown\n./a/\n", [.maildir(bytes("./a/"))]),
            ("+list\n&a@b\n./a/\n./b\n|c\n", [.forward(bytes("a@b")), .forbiddenFile, .forbiddenFile, .forbiddenProgram]),
            ("./a/\n+list\n./b/\n", [.maildir(bytes("./a/")), .forbiddenFile]),
        ] as [(String, [DotQmail.Instruction])])
    func linesMean(_ text: String, _ instructions: [DotQmail.Instruction]) throws {
        #expect(try DotQmail(bytes(text)).instructions == instructions)
    }

    @Test func theExecuteBitAllowsForwardingOnly() throws {
        let parsed = try DotQmail(bytes("./a/\n|b\n&c@d\n"), isForwardOnly: true)
        #expect(parsed.instructions == [.forbiddenFile, .forbiddenProgram, .forward(bytes("c@d"))])
    }

    @Test(arguments: ["", "\n", " \t\n", "\n./Maildir/\n"])
    func aBlankFirstLineIsAFileBeingEdited(_ text: String) {
        #expect(throws: DotQmail.Failure.firstLineBlank) { try DotQmail(bytes(text)) }
    }
}

/// spec-qmail §7.3.
@Suite struct DotQmailNamesTests {
    @Test(arguments: [
        ("", "", [".qmail", ".qmaildefault:"]),
        ("-", "", [".qmail-", ".qmail-default:"]),
        ("-", "foo", [".qmail-foo", ".qmail-default:foo"]),
        ("-", "Foo-Bar", [".qmail-foo-bar", ".qmail-foo-default:Bar", ".qmail-default:Foo-Bar"]),
        ("-", "foo-", [".qmail-foo-", ".qmail-foo-default:", ".qmail-default:foo-"]),
        ("-", "a--b", [".qmail-a--b", ".qmail-a--default:b", ".qmail-a-default:-b", ".qmail-default:a--b"]),
        ("-", "A.B", [".qmail-a:b", ".qmail-default:A.B"]),
        ("-", "x/../y", [".qmail-x/::/y", ".qmail-default:x/../y"]),
        ("-", "foo-Default", [".qmail-foo-default:Default", ".qmail-foo-default:Default", ".qmail-default:foo-Default"]),
        ("s/", "", [".qmails/", ".qmails/default:"]),
    ])
    func filesAreTriedInOrder(_ dash: String, _ ext: String, _ names: [String]) {
        let found = DotQmailNames(dash: bytes(dash), ext: bytes(ext)[...]).map { candidate in
            String(decoding: candidate.name, as: UTF8.self) + (candidate.defaultExtension.map { ":" + String(decoding: $0, as: UTF8.self) } ?? "")
        }
        #expect(found == names)
    }
}

/// spec-qmail §7.2.
@Suite struct LoopCheckTests {
    static let line = "Delivered-To: a@b\n"

    @Test(
        arguments: [
            (line + "\n", .looping), ("Subject: x\n" + line, .looping), ("no field at all\n" + line + "\nbody", .looping),
            ("\n" + line, .clear), ("Subject: x\n\n" + line, .clear), ("", .needsMore), ("Subject: x\n", .needsMore),
            ("delivered-to: a@b\n\n", .clear), ("Delivered-To: a@b \n\n", .clear), ("Delivered-To: a@bc\n\n", .clear),
            ("Delivered-To: a@\n\n", .clear),
            ("Delivered-To: a@b\r\n\n", .clear), ("X-" + line + "\n", .clear), (" " + line + "\n", .clear), ("Delivered-To: a@b", .needsMore),
        ] as [(String, LoopCheck.Finding)])
    func onlyTheExactLineIsALoop(_ header: String, _ finding: LoopCheck.Finding) {
        var whole = LoopCheck(bytes(Self.line))
        #expect(whole.scan(bytes(header)) == finding)
        for offset in 0...bytes(header).count {
            var pieces = LoopCheck(bytes(Self.line))
            var result = pieces.scan(bytes(header)[..<offset])
            if result == .needsMore { result = pieces.scan(bytes(header)[offset...]) }
            #expect(result == finding, "split at \(offset)")
        }
    }
}

/// spec-qmail §7.5.
@Suite struct TraceLinesTests {
    /// hardening.md "INJ-addr": whatever bytes, an address is refused or each line is one.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func noAddressBreaksALine(_ seed: UInt64) {
        var random = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        for _ in 0..<200 {
            let wild = (0..<Int(random % 40)).map { _ -> UInt8 in
                random ^= random << 13
                random ^= random >> 7
                random ^= random << 17
                // Half of them from those that mean something somewhere.
                return random & 1 == 0 ? UInt8(truncatingIfNeeded: random >> 8) : [0, 10, 13, 34, 58, 60, 62, 64, 92, 9, 32][Int(random >> 8 % 11)]
            }
            random = random &* 6_364_136_223_846_793_005 &+ 1
            guard let sender = Address(wild) else {
                #expect(wild.contains(0) || wild.contains(10) || wild.contains(13), "seed \(seed)")
                continue
            }
            #expect(sender.bytes == wild)
            let lines = TraceLines(sender: sender, localPart: wild[...], domain: wild[...])
            for line in [lines.returnPath, lines.deliveredTo, TraceLines.fromLine(sender, now: 0)] {
                #expect(line.firstIndex(of: 10) == line.count - 1, "seed \(seed)")
                #expect(!line.contains(0) && !line.contains(13), "seed \(seed)")
            }
        }
    }

    @Test(arguments: [
        ("s@example.org", "Return-Path: <s@example.org>\n"), ("", "Return-Path: <>\n"), ("#@[]", "Return-Path: <#@[]>\n"),
        ("a b@example.org", "Return-Path: <\"a b\"@example.org>\n"),
    ])
    func theReturnPathIsQuoted(_ sender: String, _ line: String) throws {
        let lines = TraceLines(sender: try #require(Address(bytes(sender))), localPart: bytes("v-joe")[...], domain: bytes("x.example")[...])
        #expect(lines.returnPath == bytes(line))
        #expect(lines.deliveredTo == bytes("Delivered-To: v-joe@x.example\n"))
    }

    @Test func noLineCanBeBroken() {
        let lines = TraceLines(sender: .null, localPart: bytes("a\nb")[...], domain: bytes("c\n")[...])
        #expect(lines.deliveredTo == bytes("Delivered-To: a_b@c_\n"))
    }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
