import Bytes
import Glibc
import MailboxStorage
import Posix
import TemporaryFolder
import Testing

/// The `maildirsize` of Maildir++, as other programs write it.
@Suite struct MaildirSizesTests {
    @Test(arguments: [
        ("1000S", 1000, 0), ("1000S,5C", 1000, 5), ("5C,1000S", 1000, 5), ("5C", 0, 5), ("1000S,7X", 1000, 0),
    ])
    func limits(_ notation: String, _ bytes: UInt64, _ messages: UInt64) throws {
        let limits = try #require(MaildirLimits(Array(notation.utf8)))
        #expect(limits.bytes == bytes)
        #expect(limits.messages == messages)
    }

    @Test(arguments: ["", "0S", "S", "x", "-5S", "99999999999999999999S", "0S,0C"])
    func noLimits(_ notation: String) { #expect(MaildirLimits(Array(notation.utf8)) == nil) }

    @Test(arguments: [
        ("1000S\n", 0, 0, 0), ("1000S\n100 1\n", 100, 1, 1), ("1000S\n100 1\n-40 -1\n         5            2\n", 65, 2, 3),
    ])
    func sums(_ text: String, _ bytes: Int64, _ messages: Int64, _ lines: Int) throws {
        let sizes = try #require(MaildirSizes(Array(text.utf8)))
        #expect(sizes.usage.bytes == bytes)
        #expect(sizes.usage.messages == messages)
        #expect(sizes.lines == lines)
    }

    @Test(arguments: [
        "", "1000S", "\n", "x\n1 1\n", "1000S\n1\n", "1000S\n1 1 1\n", "1000S\nx 1\n", "1000S\n1 1", "1000S\n99999999999999999999 1\n",
        "1000S\n" + String(repeating: "1 1\n", count: 2000),
    ])
    func whatIsCountedAnew(_ text: String) { #expect(MaildirSizes(Array(text.utf8)) == nil) }

    /// Sums of others cannot overflow ours.
    @Test func sumsHaveAnEnd() throws {
        let line = "\(Int64.max) \(Int64.max)\n"
        let sizes = try #require(MaildirSizes(Array(("1000S\n" + line + line + line).utf8)))
        #expect(!sizes.limits.haveRoom(for: Int.max, beside: sizes.usage))
        #expect(sizes.usage.bytes > 0)
    }

    @Test(arguments: [
        (10, 0, 0, 10, true), (10, 0, 0, 11, false), (10, 4, 9, 6, true), (10, 4, 9, 7, false),
    ])
    func room(_ limit: Int, _ used: Int64, _ messages: Int64, _ size: Int, _ expected: Bool) throws {
        let sizes = try #require(MaildirSizes(Array("\(limit)S\n\(used) \(messages)\n".utf8)))
        #expect(sizes.limits.haveRoom(for: size, beside: sizes.usage) == expected)
    }

    @Test(
        arguments: [
            ("1.M2P3.h,S=123", 123), ("1.M2P3.h,S=123:2,S", 123), ("1.h,W=9,S=5", 5), ("1.h", nil), ("1.h:2,S=4", nil), ("1.h,S=", nil),
            ("1.h,S=x", nil),
        ] as [(String, Int64?)])
    func sizesInNames(_ name: String, _ expected: Int64?) { #expect(MaildirSizes.size(inName: name.utf8) == expected) }

    @Test(arguments: [("1.h:2,T", true), ("1.h:2,ST", true), ("1.h:2,S", false), ("1.hT", false), ("1.h,S=3:2,", false)])
    func whatIsThrownAway(_ name: String, _ expected: Bool) { #expect(MaildirSizes.isThrownAway(name.utf8) == expected) }

    /// One message has moved to `cur/` since it was seen, one is thrown away, one stays.
    @Test(arguments: [("1000S\n60 4\n", "1000S\n60 4\n-15 -2\n"), (nil, "")] as [(String?, String)])
    func whatIsRemovedIsTakenOff(_ before: String?, _ after: String) throws {
        let folder = TemporaryFolder()
        for name in ["new", "cur"] { folder.makeFolder(name) }
        if let before { folder.write("maildirsize", before) }
        for (name, text) in [("new/1.a", "12345"), ("new/2.b,S=10", "123456789\n"), ("cur/3.c:2,T", "thrown"), ("new/4.d", "stays")] {
            folder.write(name, text)
        }
        let contents = try MaildirContents(try FileDescriptor.open(folder.path, O_RDONLY | O_DIRECTORY))
        let entries = try contents.entries(before: Int.max)
        rename("\(folder.path)/new/2.b,S=10", "\(folder.path)/cur/2.b,S=10:2,S")
        #expect(contents.remove(entries.filter { !$0.name.elementsEqual("4.d".utf8) }) == 0)
        #expect(folder.names("new") + folder.names("cur") == ["4.d"])
        #expect(folder.read("maildirsize") == after)
    }

    @Test(arguments: [("./Maildir/.Lists/", "./Maildir/"), ("./Maildir/", nil), ("./.Maildir/", nil), ("./a/b/", nil)] as [(String, String?)])
    func foldersOfAMaildir(_ path: String, _ root: String?) { #expect(MaildirQuota.root(of: Array(path.utf8)).map(\.text) == root) }
}
