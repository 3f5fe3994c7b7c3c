private import Bytes

/// LANG (RFC 6856 §3): in which language the texts of replies are. There is one.
enum Language {
    static func take<Action>(_ argument: ArraySlice<UInt8>, _ replies: inout Replies<Action>) {
        switch argument.lowercasedASCII().text {
        case "": replies.say(list: ["en English"])
        // `*` is the server's choice; `i-default` (RFC 2277 §4.5) is to be understood where English is.
        case "en", "*", "i-default": replies.say("+OK en English")
        default: replies.say("-ERR there is English only")
        }
    }
}
