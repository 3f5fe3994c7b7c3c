import CDB
import ControlFiles
import TemporaryFolder
import Testing

@Suite struct ControlFilesTests {
    let folder = TemporaryFolder()
    var control: ControlDirectory { ControlDirectory(folder.path) }

    @Test func aMissingFileIsNil() throws {
        #expect(try control.line("me") == nil)
        #expect(try control.list("locals") == nil)
    }

    @Test func linesLoseTrailingBlanksOnly() throws {
        folder.write("me", "  a.example \t\nsecond\n")
        folder.write("empty", "")
        #expect(try control.line("me") == Array("  a.example".utf8))
        #expect(try control.line("empty") == [])
    }

    @Test(arguments: [("12\n", 12), ("7 days", 7), ("x", nil), ("-1", nil), ("", nil)] as [(String, UInt64?)])
    func integers(_ text: String, _ value: UInt64?) throws {
        folder.write("n", text)
        #expect(try control.integer("n") == value)
    }

    @Test func listsSkipCommentsAndEmptyLines() throws {
        folder.write("l", "a \n\n#c\n b\nlast")
        #expect(try control.list("l") == ["a", " b", "last"].map { Array($0.utf8) })
    }

    @Test func ofEqualKeysTheLastCounts() throws {
        folder.write("m", "A.b:x\nnone\na.B:y:z\n:catch\n")
        #expect(try control.map("m") == [Array("a.b".utf8): Array("y:z".utf8), []: Array("catch".utf8)])
    }

    @Test func aChangedFileIsSeen() throws {
        folder.write("f", "one")
        let control = control
        let watched = try Watched([control.file("f")], load: { try control.line("f") }, complain: { _ in })
        #expect(watched.value == Array("one".utf8))
        folder.write("f", "three")
        #expect(watched.refreshed() == Array("three".utf8))
    }
}

@Suite struct ConstantDatabaseTests {
    let folder = TemporaryFolder()

    @Test func readsBackWhatWasWritten() throws {
        var writer = ConstantDatabaseWriter()
        for number in 0..<2000 { writer.add(key: Array("key\(number)".utf8), value: Array("value\(number)".utf8)) }
        writer.add(key: Array("key7".utf8), value: Array("second".utf8))
        writer.add(key: [], value: [])
        folder.write("x.cdb", writer.finish())
        let database = try #require(try ConstantDatabase.open("\(folder.path)/x.cdb"))
        for number in 0..<2000 { #expect(try database.value(of: Array("key\(number)".utf8)) == Array("value\(number)".utf8)) }
        #expect(try database.value(of: Array("key2000".utf8)) == nil)
        #expect(try database.value(of: []) == [])
    }

    @Test func damageIsAnErrorNotACrash() throws {
        var writer = ConstantDatabaseWriter()
        for number in 0..<20 { writer.add(key: Array("key\(number)".utf8), value: Array("value".utf8)) }
        let whole = writer.finish()
        for cut in stride(from: 0, to: whole.count, by: 13) {
            folder.write("cut.cdb", Array(whole[..<cut]))
            let database = try #require(try ConstantDatabase.open("\(folder.path)/cut.cdb"))
            for number in 0..<20 { _ = try? database.value(of: Array("key\(number)".utf8)) }
        }
        for offset in stride(from: 0, to: whole.count, by: 3) {
            var broken = whole
            broken[offset] ^= 0xFF
            folder.write("flip.cdb", broken)
            let database = try #require(try ConstantDatabase.open("\(folder.path)/flip.cdb"))
            for number in 0..<20 { _ = try? database.value(of: Array("key\(number)".utf8)) }
        }
    }
}
