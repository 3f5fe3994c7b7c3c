/// The files of configuration that some program of ours reads (docs/control-files.md).
enum KnownFiles {
    static let control: Set<String> = [
        "me", "badmailfrom", "bouncefrom", "bouncehost", "concurrencylocal", "concurrencyremote", "databytes", "defaultdelivery", "defaultdomain",
        "defaulthost", "doublebouncehost", "doublebounceto", "envnoathost", "helohost", "idhost", "localiphost", "locals", "morercpthosts",
        "morercpthosts.cdb", "percenthack", "plusdomain", "qmqpservers", "queuelifetime", "rcpthosts", "smtpgreeting", "smtproutes", "timeoutconnect",
        "timeoutremote", "timeoutsmtpd", "virtualdomains", "authbackends", "authinsecure", "authmechanisms", "authsecrets", "badhelo", "badrcptto",
        "bounceformat", "bouncemaxbytes", "bouncesperhour", "cafile", "concurrencyincoming", "concurrencyperhost", "concurrencyperip",
        "concurrencypop3", "dnsbllist", "dnssec", "goodrcptto", "hashthreads", "lmtplisten", "logindomain", "maxrecipients", "minuid", "moreipme",
        "pop3listen", "pop3slisten", "proxyclients", "qmqplisten", "qmqprules", "qmtplisten", "queuesegmentbytes", "rcptprobe", "remoteprogram",
        "resolvers", "senderlogin", "sendmessages", "sendrecipients", "smtplisten", "smtprules", "smtpslisten", "smtpworkers", "submissionlisten",
        "submissionslisten", "timeoutlocal", "timeoutremoteprogram", "vmailuser",
    ]
    static let numbers = [
        "concurrencyincoming", "concurrencylocal", "concurrencyremote", "databytes", "queuelifetime", "timeoutconnect", "timeoutremote",
        "timeoutsmtpd",
    ]
    static let users: Set<String> = ["assign", "cdb", "include", "exclude", "mailnames", "subusers", "append"]
}
