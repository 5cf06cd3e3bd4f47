# Yours: no update touches this file. The next line gives the prompt, completion and history of the workstation.
source /etc/devbox/zshrc
