"""The shipped Spanish text of each content block.

Each passes the wording check, and each SMS fits one segment if the organisation's name has at most 30 characters. So an
SMS has none of the letters á, í, ó and ú, which are not in GSM-7.
"""

OPT_IN_PROMPT = """\
**{{ organisation }}** puede avisarle por mensaje de texto cuando haya novedades en su cuenta: renovaciones, plazos y
decisiones. Cada mensaje lleva el asunto de una notificación y un enlace a ella. Además, seguirá recibiendo todo por
correo electrónico.

Cuando confirme, enviaremos un solo mensaje desde {{ sending_number }} a {{ phone_number }}. **Responda START a ese
mensaje** para aceptar los mensajes de texto en ese teléfono. Hasta entonces no enviaremos nada más.

- **Frecuencia:** la frecuencia de los mensajes varía según lo que ocurra en su cuenta.
- **Costo:** pueden aplicarse tarifas por mensajes y datos.
- **Ayuda:** responda HELP a cualquiera de nuestros mensajes.
- **Baja:** responda STOP a cualquiera de ellos, en cualquier momento.

Los mensajes de texto son opcionales: sin ellos, su cuenta funciona igual. Lea los
[términos]({{ portal_url }}/sms/terms) y la [política de privacidad]({{ portal_url }}/sms/privacy).\
"""

WELCOME_TEXT = """\
{{ organisation }}: sus avisos ya llegan por SMS. \
Frecuencia variable. Puede haber cargos por mensajes y datos. HELP para ayuda, STOP para cancelar.\
"""

INVITATION_TEXT = """\
{{ organisation }}: responda START para avisos de su cuenta. \
Frecuencia variable. Puede haber cargos por SMS y datos. HELP: ayuda. STOP: cancelar.\
"""

STOP_HELP_INFO = """\
- **Para dejar de recibir mensajes**, responda STOP a cualquiera de ellos o envíe STOP a {{ sending_number }}. Así dejan
  de llegar los de todas las cuentas que tienen su número de teléfono.
- **Para volver a recibirlos**, envíe START a {{ sending_number }} desde el mismo teléfono. En esta página no se puede.
- **Para obtener ayuda**, responda HELP. Pueden aplicarse tarifas por mensajes y datos.\
"""

STOP_REPLY = """\
{{ organisation }}: su baja queda confirmada. Ya no enviaremos SMS a este teléfono. \
Responda START para volver a recibirlos.\
"""

HELP_REPLY = """\
{{ organisation }}: avisos por SMS. Consultas: {{ portal_url }} \
Puede haber cargos por mensajes y datos. STOP para cancelar.\
"""

SIGN_IN_NOTICE = ""

PUBLIC_TERMS = """\
Estos términos son para quienes piden a {{ organisation }} mensajes en su teléfono.

- **Programa:** avisos de la cuenta por mensaje de texto (SMS).
- **Qué enviamos:** renovaciones, plazos y decisiones sobre su cuenta, cada mensaje con un enlace al texto completo. Sin
  publicidad.
- **Cómo suscribirse:** pida los mensajes en el portal para su número de teléfono y responda START a la invitación.
- **Frecuencia:** la frecuencia de los mensajes varía según lo que ocurra en su cuenta.
- **Costo:** pueden aplicarse tarifas por mensajes y datos.
- **Para darse de baja:** responda **STOP** a cualquiera de nuestros mensajes. Lo confirmamos con un mensaje y no
  enviamos ninguno más.
- **Para obtener ayuda:** responda **HELP** a cualquiera de nuestros mensajes.
- **Contacto:** diríjase a {{ support_contact }}.
- **Quejas:** si algo salió mal, envíe su queja a {{ support_contact }}. Contestamos en un plazo de 30 días. En
  Estados Unidos también puede presentar su queja ante la [Comisión Federal de
  Comunicaciones](https://consumercomplaints.fcc.gov).
- **Operadores móviles:** los operadores móviles no son responsables de los mensajes que se retrasen o no se entreguen.
- **Privacidad:** [qué hacemos con su información]({{ portal_url }}/sms/privacy).\
"""

PUBLIC_PRIVACY = """\
Esta página explica qué hace {{ organisation }} con su información cuando usted pide mensajes de texto (SMS).

- **Qué recopilamos:** su número de teléfono, cuándo y cómo aceptó, qué mensajes le enviamos y si llegaron.
- **Para qué:** para enviarle los avisos que pidió y para poder demostrar que los pidió.
- **Sin fines de marketing:** no vendemos su información móvil ni la compartimos con terceros o empresas afiliadas con
  fines de marketing o promoción.
- **Su consentimiento:** los datos de su suscripción y su consentimiento no se comparten con nadie para ningún otro fin.
- **Quién nos ayuda:** solo las empresas que entregan los mensajes reciben su número, y solo para entregarlos.
- **Para darse de baja:** responda **STOP** a cualquiera de nuestros mensajes. Lo dejamos anotado para que nadie vuelva
  a escribirle.
- **Contacto:** diríjase a {{ support_contact }}.
- **Quejas:** si algo salió mal, envíe su queja a {{ support_contact }}. Contestamos en un plazo de 30 días.
- **Términos:** [los términos del programa]({{ portal_url }}/sms/terms).\
"""

PUBLIC_OPT_IN = """\
**{{ organisation }}** envía mensajes de texto (SMS) a quienes los piden.

- **Qué enviamos:** renovaciones, plazos y decisiones sobre su cuenta, cada mensaje con un enlace al texto completo.
- **Frecuencia:** la frecuencia de los mensajes varía según lo que ocurra en su cuenta.
- **Costo:** pueden aplicarse tarifas por mensajes y datos.
- **Para obtener ayuda:** responda **HELP** a cualquiera de nuestros mensajes.
- **Para darse de baja:** responda **STOP** a cualquiera de nuestros mensajes.
- **Usted decide:** el consentimiento no es condición para recibir un servicio ni para comprar nada. También recibe todo
  por correo electrónico.
- **Su consentimiento:** no enviamos nada hasta que usted responda START a la invitación.
- Lea los [términos]({{ portal_url }}/sms/terms).
- Lea la [política de privacidad]({{ portal_url }}/sms/privacy).\
"""

INVITATION_MOVE_NOTICE = "Con START, otra cuenta deja de recibir SMS en este teléfono."
WELCOME_MOVE_NOTICE = "Otra cuenta ya no recibe SMS en este teléfono."

UNKNOWN_VALUES = {
    "sending_number": "nuestro teléfono",
    "phone_number": "su teléfono",
    "support_contact": "nuestra oficina",
}
