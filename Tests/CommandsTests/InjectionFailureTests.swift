import Frames
import Injection
import Testing

@Suite struct InjectionFailureTests {
    /// The table of spec-qmail §3.2.
    @Test(
        arguments: [
            (11, true, "envelope address too long for qq (#5.1.3)"), (115, true, "envelope address too long for qq (#5.1.3)"),
            (31, true, "mail server permanently rejected message (#5.3.0)"), (51, false, "qq out of memory (#4.3.0)"),
            (52, false, "qq timeout (#4.3.0)"),
            (53, false, "qq write error or disk full (#4.3.0)"), (54, false, "qq read error (#4.3.0)"),
            (55, false, "qq unable to read configuration (#4.3.0)"),
            (56, false, "qq trouble making network connection (#4.3.0)"), (61, false, "qq trouble in home directory (#4.3.0)"),
            (62, false, "qq trouble creating files in queue (#4.3.0)"), (66, false, "qq trouble creating files in queue (#4.3.0)"),
            (71, false, "mail server temporarily rejected message (#4.3.0)"), (72, false, "connection to mail server timed out (#4.4.1)"),
            (73, false, "connection to mail server rejected (#4.4.1)"), (74, false, "communication with mail server failed (#4.4.2)"),
            (81, false, "qq internal bug (#4.3.0)"), (91, false, "qq internal bug (#4.3.0)"), (120, false, "unable to exec qq (#4.3.0)"),
            (12, true, "qq permanent problem (#5.3.0)"), (40, true, "qq permanent problem (#5.3.0)"), (41, false, "qq temporary problem (#4.3.0)"),
            (82, false, "qq temporary problem (#4.3.0)"), (255, false, "qq temporary problem (#4.3.0)"),
        ] as [(Int32, Bool, String)])
    func exitCodes(_ code: Int32, _ isPermanent: Bool, _ text: String) {
        #expect(InjectionFailure(exitCode: code) == InjectionFailure(isPermanent: isPermanent, text: text))
    }

    @Test(arguments: [
        ("Zcustom text", false, "custom text"), ("Dno\u{7} more\nlines", true, "no? more"), ("D", false, "qq temporary problem (#4.3.0)"),
        ("Xother", false, "qq temporary problem (#4.3.0)"),
    ])
    func textsOfItsOwn(_ written: String, _ isPermanent: Bool, _ text: String) {
        #expect(InjectionFailure(exitCode: 82, custom: Array(written.utf8)) == InjectionFailure(isPermanent: isPermanent, text: text))
    }

    @Test(arguments: QueueRefusal.allCases)
    func everyRefusalIsAnExitCode(_ refusal: QueueRefusal) {
        #expect(InjectionFailure(exitCode: Int32(refusal.rawValue)) == InjectionFailure(refusal))
    }
}
