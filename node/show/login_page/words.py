"""The words of the login page."""

from __future__ import annotations

from node.show.language import Words

LOGIN: Words = {
    "login.title": ("Log in", "登录"),
    "login.why": (
        "Whoever changes something here does it under a name.",
        "在此进行的任何更改都以个人账户记录。",
    ),
    "login.name": ("Name", "用户名"),
    "login.password": ("Password", "密码"),
    "login.refused": ("There is no account with this name and password.", "用户名或密码不正确。"),
    "login.wait": (
        "Too many wrong passwords for this name. Try again in a quarter of an hour.",
        "密码错误次数过多，请一刻钟后再试。",
    ),
    "login.how": ("An administrator adds accounts on the node with", "管理员可在节点上用以下命令添加账户："),
}
