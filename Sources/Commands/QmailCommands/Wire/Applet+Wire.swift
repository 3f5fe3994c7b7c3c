// Manuals: programs that speak a protocol on descriptors that somebody else opened.
extension Applet {
    static let wire: [Applet] = []
}
