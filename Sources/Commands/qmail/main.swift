private import Glibc
private import QmailCommands

exit(QmailProgram.run(Applet.families))
