import SMTPClient
import Testing

private let offer = "250-hi\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
private let inside = "250 hi\r\n"
private let noTLS = "p:deferred|Connected to 1.2.3.4 but it does not offer TLS, which is demanded here. (#4.7.4)/"
private let talks = "p:deferred|Connected to 1.2.3.4 but what it said before TLS went on where only TLS may speak. (#4.7.5)/"

/// RFC 3207: TLS as it is offered and demanded.
@Suite struct StartTLSTests {
    private static func begun(_ tls: ConnectionDemand.TLS, beginsWithTLS: Bool = false) -> Dialogue {
        var dialogue = Dialogue(demand: ConnectionDemand(tls: tls, beginsWithTLS: beginsWithTLS))
        dialogue.begin()
        dialogue.say("220 hello\r\n")
        #expect(dialogue.happened() == ["c:EHLO us.example"])
        return dialogue
    }

    /// §4.2: what was known before is forgotten, PIPELINING among it.
    @Test(arguments: [ConnectionDemand.TLS.ifOffered, .always]) func upgrade(tls: ConnectionDemand.TLS) {
        var dialogue = Self.begun(tls)
        dialogue.say(offer)
        dialogue.say("220 go\r\n")
        #expect(dialogue.happened() == ["c:STARTTLS", "=TLS"])
        dialogue.tlsStarted()
        dialogue.say(inside)
        #expect(dialogue.happened() == ["c:EHLO us.example", "c:MAIL FROM:<s@a>"])
    }

    /// A server that offers it again inside is not believed.
    @Test func onceIsEnough() {
        var dialogue = Self.begun(.always)
        dialogue.say(offer)
        dialogue.say("220 go\r\n")
        dialogue.tlsStarted()
        dialogue.say(offer)
        #expect(dialogue.happened().last == "c:DATA")
    }

    @Test func neverMeansNever() {
        var dialogue = Self.begun(.never)
        dialogue.say(offer)
        #expect(dialogue.happened().first == "c:MAIL FROM:<s@a>")
    }

    @Test func whereNoneIsOffered() {
        var may = Self.begun(.ifOffered)
        may.say(inside)
        #expect(may.happened() == ["c:MAIL FROM:<s@a>"])
        var must = Self.begun(.always)
        must.say(inside)
        #expect(must.happened() == [noTLS, "c:QUIT", "=close"])
    }

    @Test func whereEHLOIsNotKnown() {
        var dialogue = Self.begun(.always)
        dialogue.say("502 what\r\n")
        dialogue.say("250 hi\r\n")
        #expect(dialogue.happened() == ["c:HELO us.example", noTLS, "c:QUIT", "=close"])
    }

    /// hardening.md "PIPE/TLS": what stands behind the 220 was not said inside.
    @Test(arguments: ["220 go\r\n250 ok\r\n", "220 go\r\n2", "220 go\r\n\r", "220 go\r\n220 go\r\n"]) func injected(reply: String) {
        var dialogue = Self.begun(.ifOffered)
        dialogue.say(offer)
        dialogue.say(reply)
        #expect(dialogue.happened() == ["c:STARTTLS", talks, "=close"])
        dialogue.tlsStarted()
        dialogue.say(inside)
        #expect(dialogue.happened() == [])
    }

    /// The same in the clear, after the 220 and before TLS took over.
    @Test func spokenInsteadOfTLS() {
        var dialogue = Self.begun(.ifOffered)
        dialogue.say(offer)
        dialogue.say("220 go\r\n")
        dialogue.say("250 ok\r\n")
        #expect(
            dialogue.happened() == [
                "c:STARTTLS", "=TLS", "p:deferred|Connected to 1.2.3.4 but TLS failed: the connection ended. (#4.7.5)/", "=close",
            ])
    }

    @Test(arguments: ["454 no\r\n", "501 no\r\n", "421 no\r\n", "250 no\r\n"]) func refused(reply: String) {
        var dialogue = Self.begun(.ifOffered)
        dialogue.say(offer)
        dialogue.say(reply)
        let text = reply.replacing("\r\n", with: "/")
        #expect(
            dialogue.happened() == [
                "c:STARTTLS", "p:deferred|Connected to 1.2.3.4 but it refused the TLS that it offers./Remote host said: \(text)", "c:QUIT", "=close",
            ])
    }

    @Test func failed() {
        var dialogue = Self.begun(.ifOffered)
        dialogue.say(offer)
        dialogue.say("220 go\r\n")
        dialogue.tlsFailed("it rained")
        #expect(dialogue.happened() == ["c:STARTTLS", "=TLS", "p:deferred|Connected to 1.2.3.4 but TLS failed: it rained. (#4.7.5)/", "=close"])
        dialogue.drop()
        #expect(dialogue.happened() == [])
    }

    /// One that stalls is not worth another address.
    @Test func tooSlow() {
        var dialogue = Self.begun(.ifOffered)
        dialogue.say(offer)
        dialogue.say("220 go\r\n")
        dialogue.expire()
        #expect(dialogue.happened().suffix(2) == ["r:deferred|Connected to 1.2.3.4 but connection died. (#4.4.2)/", "=close"])
    }

    @Test func fromTheFirstByte() {
        var dialogue = Self.begun(.always, beginsWithTLS: true)
        dialogue.say(offer)
        #expect(dialogue.happened().first == "c:MAIL FROM:<s@a>")
        var broken = Dialogue(demand: ConnectionDemand(tls: .always, beginsWithTLS: true))
        broken.begin()
        broken.tlsFailed("it rained")
        #expect(broken.happened() == ["p:deferred|Connected to 1.2.3.4 but TLS failed: it rained. (#4.7.5)/", "=close"])
    }
}

/// Says what it is told to, and writes down what it hears.
private struct ScriptedLogin: LoginExchange {
    var mechanism = "X"
    var initial: [UInt8]?
    var responses: [[UInt8]?] = []
    var isContent = true

    mutating func begin(offered: [[UInt8]]) -> (mechanism: [UInt8], initialResponse: [UInt8]?)? {
        offered.contains(Array(mechanism.utf8)) ? (Array(mechanism.utf8), initial) : nil
    }

    mutating func challengeReceived(_ challenge: [UInt8]) -> [UInt8]? { responses.isEmpty ? nil : responses.removeFirst() }
    func succeeded() -> Bool { isContent }
}

/// RFC 4954, as a client.
@Suite struct LoginTests {
    private static func begun(_ login: ScriptedLogin, offering line: String = "AUTH Y X") -> Dialogue {
        var dialogue = Dialogue(demand: ConnectionDemand(tls: .never, login: login))
        dialogue.begin()
        dialogue.say("220 hello\r\n")
        dialogue.say("250-hi\r\n250 \(line)\r\n")
        return dialogue
    }

    private static let refusal = "r:deferred|Connected to 1.2.3.4 but the login was refused./Remote host said: "

    @Test func withInitialResponse() {
        var dialogue = Self.begun(ScriptedLogin(initial: [0, 1]))
        dialogue.say("235 in\r\n")
        #expect(dialogue.happened() == ["c:EHLO us.example", "c:AUTH X AAE=", "c:MAIL FROM:<s@a>"])
    }

    @Test func anEmptyInitialResponseIsAnEqualsSign() {
        var dialogue = Self.begun(ScriptedLogin(initial: []))
        #expect(dialogue.happened().last == "c:AUTH X =")
    }

    /// §4: one that makes the command too long answers the first challenge.
    @Test func aLongInitialResponseWaits() {
        var dialogue = Self.begun(ScriptedLogin(initial: [UInt8](repeating: 0, count: 900), responses: [[1]]))
        #expect(dialogue.happened().last == "c:AUTH X")
        dialogue.say("334 \r\n")
        #expect(dialogue.happened() == ["c:" + String(repeating: "A", count: 1200)])
        dialogue.say("334 AA==\r\n")
        #expect(dialogue.happened() == ["c:AQ=="])
    }

    @Test func challenges() {
        var dialogue = Self.begun(ScriptedLogin(responses: [[255], []]))
        dialogue.say("334 AAE=\r\n")
        dialogue.say("334 \r\n")
        // An empty line leaves no trace in the log of a dialogue.
        #expect(dialogue.happened().suffix(2) == ["c:AUTH X", "c:/w=="])
        dialogue.say("235 in\r\n")
        #expect(dialogue.happened() == ["c:MAIL FROM:<s@a>"])
    }

    @Test(arguments: ["334 ?\r\n", "334 AAE\r\n"]) func whatIsNoBase64IsGivenUp(challenge: String) {
        var dialogue = Self.begun(ScriptedLogin(responses: [[1]]))
        dialogue.say(challenge)
        #expect(dialogue.happened().last == "c:*")
        dialogue.say("235 in\r\n")
        #expect(dialogue.happened().last == "=close")
    }

    /// A server whose success comes too early, or without its proof.
    @Test func successIsNotBelievedBlindly() {
        var dialogue = Self.begun(ScriptedLogin(initial: [1], isContent: false))
        dialogue.say("235 in\r\n")
        #expect(
            dialogue.happened().suffix(3) == [
                "r:deferred|Connected to 1.2.3.4 but it did not prove in the login that it knows the password. (#4.7.5)/", "c:QUIT", "=close",
            ])
    }

    @Test(arguments: ["535 no", "454 later", "500 what", "250 odd", "421 bye"]) func refusals(reply: String) {
        var dialogue = Self.begun(ScriptedLogin(initial: [1]))
        dialogue.say("\(reply)\r\n")
        #expect(dialogue.happened().suffix(3) == [Self.refusal + reply + "/", "c:QUIT", "=close"])
    }

    @Test(arguments: ["SIZE", "AUTH", "AUTH=X", "AUTH Y", "XAUTH X"]) func noneThatWillDo(line: String) {
        var dialogue = Self.begun(ScriptedLogin(), offering: line)
        #expect(
            dialogue.happened().suffix(3) == [
                "p:deferred|Connected to 1.2.3.4 but it offers no way of login that may be used here. (#4.7.4)/", "c:QUIT", "=close",
            ])
    }

    /// A reply too many in the midst of a login.
    @Test func moreThanWasAsked() {
        var dialogue = Self.begun(ScriptedLogin(initial: [1]))
        dialogue.say("235 in\r\n250 ok\r\n")
        #expect(dialogue.happened().suffix(2) == ["r:deferred|Connected to 1.2.3.4 but connection died. (#4.4.2)/", "=close"])
    }
}
