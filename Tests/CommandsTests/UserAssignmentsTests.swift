import CDB
import QmailCommands
import Testing

@Suite struct UserAssignmentsTests {
    /// spec-qmail §6.3.
    @Test(arguments: [
        "", "=a:u:1:2:/h:-:e\n.\n", "=a:u:1:2:/h\n.\n", "\n.\n", ":u:1:2:/h:-:e:\n.\n", "=a\0b:u:1:2:/h:-:e:\n.\n", "=a:u:1:2:/h:-:e:\n",
        "# comment\n.\n",
    ])
    func badFormat(_ text: String) {
        #expect(throws: UserAssignments.BadFormat.self) { try UserAssignments.compiled(Array(text.utf8)) }
    }

    @Test(arguments: [".\n", ".", "=:u:1:2:/h:-:e:\n.\n", "=a:u:1:2:/h:-:e:\n.trailing\nrubbish\n", "noprefix:u:1:2:/h:-:e:\n.\n"])
    func goodFormat(_ text: String) throws { #expect(try UserAssignments.compiled(Array(text.utf8)).count >= 2048) }

    @Test func keysAndValues() throws {
        let made = try UserAssignments.compiled(Array("=Joe:alice:2002:100:/home/alice:::\n+joe-:alice:2002:100:/home/alice:-:pre:post:\n.\n".utf8))
        var expected = ConstantDatabaseWriter()
        expected.add(key: Array("!joe\0".utf8), value: Array("alice\u{0}2002\u{0}100\u{0}/home/alice\u{0}\u{0}".utf8))
        expected.add(key: Array("!joe-".utf8), value: Array("alice\u{0}2002\u{0}100\u{0}/home/alice\u{0}-\u{0}pre".utf8))
        expected.add(key: [], value: Array("-".utf8))
        #expect(made == expected.finish())
    }
}
