"""Why Twilio rejects a brand, a campaign or a toll-free verification, as data of the table of provider codes.

From Twilio's error pages, in our own words (docs/twilio.md#registration). Twilio adds codes to these ranges at any
time, so each range has words as well.
"""

from portal.core.translation import N_

_RESUBMIT = N_("Correct it, then submit the registration again.")
_FORBIDDEN = N_("Carriers forbid this kind of message: it cannot be registered. If it is a mistake, write to Twilio.")
_BUSINESS = N_("Correct it under Settings, Business, and in Twilio’s console, then submit it again.")
_PAGES = N_("Correct the public page under Content blocks, then submit the registration again.")
_OPT_IN = N_("Give the address of the opt-in page, /sms/opt-in, and submit the registration again.")
_PACK = N_("Copy the field from the registration pack, then submit the registration again.")
_ASK_TWILIO = N_("Write to Twilio’s support with the id of the registration.")
_WAIT = N_("Submit the registration again in a few minutes.")

REJECTIONS: tuple[tuple[str, str, str], ...] = (
    # the business
    ("30451", N_("The address of the business is not valid."), _BUSINESS),
    ("30482 30881", N_("The email address does not belong to a domain of the business."), _BUSINESS),
    ("30483", N_("The contact does not work for the business."), _BUSINESS),
    ("30484", N_("The name of the business differs from the official record."), _BUSINESS),
    ("30485", N_("The official record of the business is needed."), N_("Attach it in Twilio’s console.")),
    ("30487", N_("A charity must prove that it is one (501(c)(3))."), N_("Attach the letter in Twilio’s console.")),
    ("30488", N_("The name by which people know the business is missing or wrong."), _BUSINESS),
    ("30527", N_("The registration number is missing or not valid."), _BUSINESS),
    ("30537", N_("The website shows another business than the texts suggest."), _RESUBMIT),
    ("30729", N_("Brands from this country are not accepted."), _BUSINESS),
    ("30751", N_("The mobile number of the contact is not accepted."), _BUSINESS),
    ("30798", N_("No tax exemption of the business was found."), _BUSINESS),
    ("30799", N_("The details of the business could not be verified, above all its name and its number."), _BUSINESS),
    ("30894", N_("The campaign belongs to another brand, or names the details of another business."), _BUSINESS),
    ("30898", N_("Too many brands are registered with this number."), _ASK_TWILIO),
    ("30702", N_("The brand no longer exists."), N_("Register the brand again.")),
    ("30714", N_("The token of the vetting is not valid."), N_("Ask for a new token, then submit it again.")),
    ("30790 30791 30792", N_("Something failed while the brand was registered."), _WAIT),
    ("30930", N_("The brand already has 100 campaigns."), N_("Delete those that are no longer used.")),
    ("30914 30915", N_("A sole proprietor may register only one campaign, in their own name."), _RESUBMIT),
    # use case and samples
    ("30497 30886", N_("The description is too general, or is about something else."), _PACK),
    ("30532", N_("The use is private."), _FORBIDDEN),
    ("30533", N_("People text each other, which is not what is registered."), _FORBIDDEN),
    ("30534", N_("A registration for tests needs real details of the business too."), _PACK),
    ("30538", N_("A sample is missing for one of the use cases."), _PACK),
    ("30807", N_("More than five numbers need a reason."), N_("Say why you need them, then submit it again.")),
    ("30889", N_("The samples contain no phone number, though the registration says that texts do."), _PACK),
    ("30890 30891", N_("The samples and what the registration says about links differ."), _PACK),
    ("30892", N_("A sample has a link of a public shortener."), _PACK),
    ("30893", N_("The samples do not fit the use case, or do not name you and STOP."), _PACK),
    ("30900", N_("This use case cannot be registered for the brand."), N_("Choose another use case.")),
    ("30910", N_("The registration must be in English."), _PACK),
    ("30964", N_("A link begins with http://."), N_("Set a public address with https://, then submit it again.")),
    # opt-in
    ("30486", N_("The reply to HELP lacks something."), N_("Correct it under Content blocks, then submit it again.")),
    ("30511", N_("The words with which people are asked for consent are missing."), _OPT_IN),
    ("30513 30551 30841", N_("The opt-in does not say clearly that people agree to text messages."), _PAGES),
    ("30540", N_("The confirmation of the opt-in is missing or incomplete."), _PACK),
    ("30543 30842", N_("Nothing shows how people opt in."), _OPT_IN),
    ("30544", N_("The opt-in does not say what the texts are about."), _PAGES),
    ("30545", N_("The opt-in does not say how often texts are sent."), _PAGES),
    ("30569", N_("The opt-in does not say that message and data rates may apply."), _PAGES),
    ("30570", N_("The opt-in does not say how to get help."), _PAGES),
    ("30709", N_("A reply to opt-in is given, though people do not opt in."), _PACK),
    ("30831", N_("People do not agree expressly: a number alone is no consent."), _OPT_IN),
    ("30836", N_("Reviewers could not open the opt-in page."),
     N_("Run the diagnostics, which open it as they do, then submit the registration again.")),
    ("30837", N_("What shows the opt-in is incomplete, or does not name the organization."), _OPT_IN),
    ("30896 30909", N_("Reviewers could not verify how people opt in."), _OPT_IN),
    ("30895 30897", N_("The replies to the keywords are missing or incomplete."), _PACK),
    ("30925", N_("The box for consent must not be ticked in advance."), _OPT_IN),
    # terms and privacy policy
    ("30558", N_("The terms do not say how often texts are sent."), _PAGES),
    ("30560", N_("The terms give no contact for support."), _PAGES),
    ("30562", N_("The terms do not say that message and data rates may apply."), _PAGES),
    ("30882", N_("The terms or the privacy policy let others use the numbers, or are missing."), _PAGES),
    ("30932", N_("Reviewers need the addresses of the privacy policy and the terms."), _PACK),
    # what carriers forbid
    ("30441 30443 30445 30446 30448 30449 30873 30874 30875 30876 30877 30878",
     N_("Sex, hate, alcohol, firearms and tobacco are forbidden."), _FORBIDDEN),
    ("30442 30480 30567 30884", N_("It was taken for spam or phishing."), _FORBIDDEN),
    ("30444 30885", N_("It was taken for fraud or deception."), _FORBIDDEN),
    ("30460 30466 30467 30863 30950", N_("Debt collection for others, debt relief and credit repair are forbidden."),
     _FORBIDDEN),
    ("30464", N_("Texts about cryptocurrencies are forbidden."), _FORBIDDEN),
    ("30566", N_("Help with cheating in exams is forbidden."), _FORBIDDEN),
    ("30883", N_("The content is forbidden."), _FORBIDDEN),
    ("30825 30887 30888", N_("The age of people must be checked for this content."),
     N_("Check it on the website, then submit the registration again.")),
    ("30501 30826", N_("Political campaigns need a token of Campaign Verify."), N_("Get one, then submit it again.")),
    # the process
    ("30447 30879", N_("The number is not yet at Twilio."), N_("Wait until it is ported, then submit it again.")),
    ("30481", N_("The verification was canceled on request."), N_("Submit a new one if you need it.")),
    ("30880", N_("No reason was given."), _ASK_TWILIO),
    ("30899 30902", N_("A carrier rejected the campaign."), _ASK_TWILIO),
    ("30901", N_("The review was not finished in time."), _WAIT),
    ("30904 30905", N_("The campaign is not yet shared with Twilio."), N_("Wait until Twilio has accepted it.")),
    ("30993", N_("The campaign was not moved in time."), N_("Start the move again.")),
)  # fmt: skip
"""Codes, what is wrong, and what to do."""
REJECTION_RANGES: tuple[tuple[range, str, str], ...] = (
    (range(30_456, 30_500), N_("The verification of the toll-free number was rejected."), _RESUBMIT),
    (range(30_501, 30_600), N_("The registration was rejected."), _RESUBMIT),
    (range(30_700, 30_800), N_("The registration of the brand failed."), _BUSINESS),
    (range(30_800, 30_880), N_("The verification of the number was rejected."), _RESUBMIT),
    (range(30_880, 31_000), N_("The campaign was rejected."), _RESUBMIT),
)
"""Every other code in them is a rejection too."""
