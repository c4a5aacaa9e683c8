"""What holds for whose invoices: coupons given, taxes asked, exemptions, prepaid balances."""
