import Addresses
import Bytes
import MessageHeader
import SMTPServer
import Testing

/// hardening.md "QUOTE": the same text in an envelope and in a header. The two are read by different parsers, by different rules; what each makes of
/// it is written down here, so that no change of one goes unseen.
@Suite struct AddressFormsTests {
    /// Text; the address of `RCPT TO:<text>`, nil where it is refused; the recipients that `To: text` has, left to right.
    static let forms: [(text: String, envelope: String?, header: [String])] = [
        // Plain.
        ("u@d.example", "u@d.example", ["u@d.example"]), ("U@D.Example", "U@D.Example", ["U@D.Example"]), ("u", "u", ["u@dh.example"]),
        ("u@d", "u@d", ["u@d.dd.example"]), ("u@d+", "u@d+", ["u@d.plus.example"]), ("u.v@d.example", "u.v@d.example", ["u.v@d.example"]),
        ("u..v@d.example", "u..v@d.example", ["u..v@d.example"]), (".u@d.example", ".u@d.example", [".u@d.example"]),
        ("u.@d.example", "u.@d.example", ["u.@d.example"]), ("u@d.example.", "u@d.example.", ["u@d.example"]),
        ("u@.d.example", "u@.d.example", ["u@.d.example"]), ("u@d..example", "u@d..example", ["u@d..example"]),
        ("u+v@d.example", "u+v@d.example", ["u+v@d.example"]), ("u=v@d.example", "u=v@d.example", ["u=v@d.example"]),
        ("u/v@d.example", "u/v@d.example", ["u/v@d.example"]), ("u%v@d.example", "u%v@d.example", ["u%v@d.example"]),
        ("d!u@d.example", "d!u@d.example", ["d!u@d.example"]), ("#@[]", "#@[]", ["#@[]"]),
        // Quotes and escapes.
        ("\"u\"@d.example", "u@d.example", ["u@d.example"]), ("\"u v\"@d.example", "u v@d.example", ["u v@d.example"]),
        ("\"u@v\"@d.example", "u@v@d.example", ["u@v@d.example"]), ("\"u\\\"v\"@d.example", "u\"v@d.example", ["u\"v@d.example"]),
        ("\"u\\\\v\"@d.example", "u\\v@d.example", ["u\\v@d.example"]), ("\"\"@d.example", "@d.example", ["@d.example"]),
        ("\"u\".\"v\"@d.example", "u.v@d.example", ["u.v@d.example"]), ("u\\ v@d.example", "u v@d.example", ["u v@d.example"]),
        ("u\\@v@d.example", "u@v@d.example", ["u@v@d.example"]), ("\"u>\"@d.example", "u>@d.example", ["u>@d.example"]),
        ("\"<u\"@d.example", "<u@d.example", ["<u@d.example"]), ("\"u,v\"@d.example", "u,v@d.example", ["u,v@d.example"]),
        ("\"u;v\"@d.example", "u;v@d.example", ["u;v@d.example"]), ("\"u(v)\"@d.example", "u(v)@d.example", ["u(v)@d.example"]),
        ("\"u\"v@d.example", "uv@d.example", ["u@dh.example", "v@d.example"]), ("u\"v\"@d.example", "uv@d.example", ["u@dh.example", "v@d.example"]),
        ("u@\"d.example\"", "u@d.example", ["u@d.example.dd.example"]), ("\"u@d.example", nil, []), ("u@d.example\"", nil, []),

        // The escaped line end is no part of any Address: such a message is not taken.
        ("u@d.example\\", nil, ["u@d.example\n"]), ("\"u@d.example\"", "u@d.example", ["u@d.example@dh.example"]),
        ("\"u\"@d.example\"x\"", "u@d.examplex", ["u@d.example", "x@dh.example"]),
        // More than one @, or none where one should be.
        ("u@v@d.example", "u@v@d.example", ["u@v@d.example"]), ("u@", nil, ["u@dh.example"]), ("@d.example", nil, [""]), ("@", nil, [""]),
        ("u@@d.example", "u@@d.example", ["u@@d.example"]), ("u @d.example", "u @d.example", ["u@d.example"]),
        ("u@ d.example", "u@ d.example", ["u@d.example"]), ("u v@d.example", "u v@d.example", ["u@dh.example", "v@d.example"]),
        (" u@d.example", " u@d.example", ["u@d.example"]), ("u@d.example ", "u@d.example ", ["u@d.example"]),
        ("u@d.example v@e.example", "u@d.example v@e.example", ["u@d.example", "v@e.example"]),
        // Comments mean nothing in an envelope.
        ("u@d.example (c)", "u@d.example (c)", ["u@d.example"]), ("(c)u@d.example", "(c)u@d.example", ["u@d.example"]),
        ("u(c)@d.example", "u(c)@d.example", ["u@d.example"]), ("u@(c)d.example", "u@(c)d.example", ["u@d.example"]),
        ("u@d.example (a (b) c)", "u@d.example (a (b) c)", ["u@d.example"]),
        ("u@d.example (v@e.example)", "u@d.example (v@e.example)", ["u@d.example"]),
        ("(u@d.example) v@e.example", "(u@d.example) v@e.example", ["v@e.example"]), ("u@d.example (unclosed", "u@d.example (unclosed", []),
        ("u@d.example )", "u@d.example )", []), ("()", "()", []),
        // Angle brackets.
        ("<u@d.example>", nil, ["u@d.example"]), ("n <u@d.example>", nil, ["u@d.example"]), ("\"n\" <u@d.example>", nil, ["u@d.example"]),
        ("\"v@e.example\" <u@d.example>", nil, ["u@d.example"]), ("v@e.example <u@d.example>", nil, ["u@d.example"]),
        ("n <u@d.example> x", nil, ["u@d.example", "x@dh.example"]), ("<u@<v@d.example>>", nil, ["<@dh.example", "v@d.example>"]),
        ("<<u@d.example>>", nil, ["<@dh.example", "u@d.example>"]),
        ("<u@d.example", "<u@d.example", ["<u@d.example"]), ("u@d.example>", nil, ["u@d.example"]), ("<>", nil, [""]),
        ("u@d.example><v@e.example", nil, ["u@d.example", "<v@e.example"]),
        ("<u@d.example> <v@e.example>", nil, ["u@d.example", "v@e.example"]), ("n <\"u v\"@d.example>", nil, ["u v@d.example"]),
        // Routes.
        ("@a,@b:u@d.example", "u@d.example", ["u@d.example"]), ("<@a,@b:u@d.example>", nil, ["u@d.example"]),
        ("@a:u@d.example", "u@d.example", ["u@d.example"]),
        ("@a:", nil, []), ("@a:@b:u@d.example", "@b:u@d.example", ["u@d.example"]),
        // Lists and groups.
        ("u@d.example,v@e.example", "u@d.example,v@e.example", ["u@d.example", "v@e.example"]), (",u@d.example", ",u@d.example", ["u@d.example"]),
        ("u@d.example,,v@e.example", "u@d.example,,v@e.example", ["u@d.example", "v@e.example"]), (",", ",", []),
        ("g: u@d.example, v@e.example;", "g: u@d.example, v@e.example;", ["u@d.example", "v@e.example"]), ("g:;", "g:;", []),
        ("u@d.example;", "u@d.example;", ["u@d.example"]), ("g: u@d.example", "g: u@d.example", ["u@d.example"]),
        ("g: h: u@d.example;;", "g: h: u@d.example;;", []),
        // Literals.
        ("u@[192.0.2.1]", "u@[192.0.2.1]", ["u@[192.0.2.1]"]), ("u@[ 192.0.2.1 ]", "u@[ 192.0.2.1 ]", ["u@[ 192.0.2.1 ]"]),
        ("u@[IPv6:2001:db8::1]", "u@[IPv6:2001:db8::1]", ["u@[IPv6:2001:db8::1]"]), ("u@[192.0.2.1", "u@[192.0.2.1", []),
        ("u@192.0.2.1]", "u@192.0.2.1]", ["u@192.0.2.1]"]), ("u@[a]b", "u@[a]b", ["u@[a]", "b@dh.example"]), ("u@[]", "u@[]", ["u@[]"]),
        ("u@[\\]]", "u@[]]", ["u@[]]"]),
        // Other alphabets and encodings.
        ("grün@d.example", nil, ["grün@d.example"]), ("u@grün.example", nil, ["u@grün.example"]),
        ("u@xn--grn-hoa.example", "u@xn--grn-hoa.example", ["u@xn--grn-hoa.example"]),
        ("=?utf-8?q?u=40d.example?=", "=?utf-8?q?u=40d.example?=", ["=?utf-8?q?u=40d.example?=@dh.example"]),
        ("=?utf-8?q?v=40e.example?= <u@d.example>", nil, ["u@d.example"]),
        ("=?utf-8?q?u?=@d.example", "=?utf-8?q?u?=@d.example", ["=?utf-8?q?u?=@d.example"]),
        ("u＠d.example", nil, ["u＠d.example@dh.example"]), ("u@d。example", nil, ["u@d。example.dd.example"]),
        ("u+AEA-d.example", "u+AEA-d.example", ["u+AEA-d.example@dh.example"]), ("u%40d.example", "u%40d.example", ["u%40d.example@dh.example"]),
        ("mailto:u@d.example", "mailto:u@d.example", ["u@d.example"]), ("u\td@d.example", nil, ["u@dh.example", "d@d.example"]), ("", nil, []),
    ]

    private func envelope(_ text: String) -> String? {
        let dialog = Dialog(.modern, policy: Policy(greeting: [0x78]))
        dialog.say("EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<\(text)>\r\nDATA\r\n.\r\n")
        return dialog.messages.first?.envelope.recipients.first?.description
    }

    private func header(_ text: String) -> [String] {
        var splitter = HeaderSplitter()
        _ = splitter.take(Array("To: \(text)\n".utf8)[...])
        splitter.finish()
        let rewriting = AddressRewriting(
            defaultHost: Array("dh.example".utf8), defaultDomain: Array("dd.example".utf8), plusDomain: Array("plus.example".utf8))
        var settings = SubmissionSettings(rewriting: rewriting, idHost: [0x69], user: [0x75], now: 0, processID: 1)
        settings.recipientSource = .header
        guard let completed = try? CompletedHeader(splitter.fields, settings) else { return [] }
        return completed.recipients.reversed().map(\.text)
    }

    @Test(arguments: forms) func eachParserByItsOwnRules(_ form: (text: String, envelope: String?, header: [String])) {
        #expect(envelope(form.text) == form.envelope, "envelope of \(form.text)")
        #expect(header(form.text) == form.header, "header of \(form.text)")
    }

    @Test func thereAreAHundred() { #expect(Set(Self.forms.map(\.text)).count >= 100) }
}
