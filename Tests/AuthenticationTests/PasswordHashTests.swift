import Posix
import Testing

struct PasswordHashTests {
    @Test func newOnesAreYescrypt() throws {
        let hash = try PasswordHash.make(Array("correct horse".utf8))
        #expect(hash.starts(with: Array("$y$".utf8)))
        #expect(try PasswordHash.verify(Array("correct horse".utf8), hash))
        #expect(try !PasswordHash.verify(Array("correct horsf".utf8), hash))
        #expect(try !PasswordHash.verify([], hash))
        #expect(try PasswordHash.make(Array("correct horse".utf8)) != hash)
    }

    /// Made by libxcrypt of `test`: MD5, SHA-512, bcrypt, DES, scrypt; then what locks an account.
    @Test(arguments: [
        ("$1$abcdefgh$irWbblnpmw.5z7wgBnprh0", true),
        ("$6$saltstring$ZaKVNWbveiGcCq16EkwiSQlt9qdrq2SpD7228mu4mx8wJCGfB34lPhtxQVdO6NHC4yEVlMJBxcIh3g6eko7AB.", true),
        ("$2b$05$abcdefghijklmnopqrstuuMceFj4VbmHOj8C7PetMxzZkwre/z.Ri", true), ("abgOeLfPimXQo", true),
        ("$7$CU..../....abcdefgh$QoGc8orTFLWfnVR53sl429LSCetd3m9DhEv64ri9OG7", true),
        ("!$1$abcdefgh$irWbblnpmw.5z7wgBnprh0", false), ("!", false), ("*", false), ("*0", false), ("", false), ("x", false),
    ])
    func oldHashes(_ hash: String, _ isRight: Bool) throws {
        #expect(try PasswordHash.verify(Array("test".utf8), Array(hash.utf8)) == isRight)
    }

    @Test func aNULDoesNotHideTheRest() throws {
        let hash = try PasswordHash.make(Array("short".utf8))
        #expect(try !PasswordHash.verify(Array("short\0tail".utf8), hash))
        #expect(try PasswordHash.hash(Array("any".utf8), as: PasswordHash.decoy).count > PasswordHash.decoy.count)
    }
}
