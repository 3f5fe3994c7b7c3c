// Manuals: what role auth has done about accounts that are not ours.
extension Applet {
    static let logins: [Applet] = [authcheck, authreport]

    private static let authcheck = Applet(
        name: "martlet-authcheck", section: 8, summary: "check one login for role auth", synopsis: "",
        description: [
            "martlet-authcheck is started by martlet-lspawn for role auth, with a socket on descriptor 0: one question comes there, one answer goes, and it "
                + "ends. It asks PAM (service martlet), the shadow file, or a program with checkpassword's interface; only what control/authbackends names is "
                + "asked. Root is refused under any name.",
            "It has no right that its caller has not.",
        ],
        environment: [home],
        files: [
            Entry("control/authbackends", "What may be asked."),
            Entry("/etc/pam.d/martlet", "With it, `system` means PAM, otherwise the shadow file."),
        ],
        exitCodes: [
            Entry("0", "The question is answered."), Entry("100", "Descriptor 0 is no such socket."), Entry("111", "There was no question."),
        ],
        run: { Authcheck.run($0) })

    private static let authreport = Applet(
        name: "martlet-authreport", section: 8, summary: "tell who and where checkpassword has put us", synopsis: "",
        description: [
            "martlet-authreport is what martlet-authcheck gives a checkpassword program to become. It writes its uid, its gid, $USER and its working "
                + "directory to descriptor 1, each ended by a NUL."
        ],
        environment: [Entry("USER", "The account.")], exitCodes: doneOrTemporary, run: { AuthReport.run($0) })
}
